"""The sample events in `events/`: one case each, made from the builders of `tablestream.testing`.

`python -m demo events` writes them; a test sees to it that the files are what is made here. What the worker answers to
each, and what it does, is in `tests/support/events_table.py`. Products and stock are those of `warehouse.PRODUCTS`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tablestream.testing import event, expired, inserted, modified, record, removed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


Item = dict[str, Any]
Event = dict[str, list[dict[str, Any]]]

CREATED_AT = "2025-11-20T12:00:00Z"
PRICES: Mapping[str, Decimal] = {"tea": Decimal("4.50"), "cup": Decimal(12), "pot": Decimal("49.90")}
EXPIRES = 1_766_232_000
"""A month after `tablestream.testing.CREATED`, in unix seconds."""


def samples() -> dict[str, Event]:
    """The events by the name of their file, without its suffix."""
    return {**_single_changes(), **_batches(), **_odd_ones()}


def write(folder: Path) -> None:
    """Write every event to `folder` as `<name>.json`, and remove what else is there of that suffix."""
    folder.mkdir(exist_ok=True)
    files = {f"{name}.json": as_text(sample) for name, sample in samples().items()}
    for stale in folder.glob("*.json"):
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def as_text(sample: Any) -> str:
    """An event as its file holds it."""
    return json.dumps(sample, indent=2, ensure_ascii=False) + "\n"


def order(
    order_id: str, status: str = "pending", *, version: int = 1, customer: str = "ada", **quantities: int
) -> Item:
    """An order's item in plain values; `quantities` by product."""
    lines = [
        {"productId": product, "quantity": quantity, "price": PRICES[product]}
        for product, quantity in quantities.items()
    ]
    return {
        "pk": f"USER#{customer}",
        "sk": f"ORDER#{order_id}",
        "GSI1PK": f"ORDER#{order_id}",
        "GSI1SK": f"USER#{customer}",
        "entityType": "Order",
        "orderId": order_id,
        "customerId": customer,
        "status": status,
        "items": lines,
        "total": sum((PRICES[product] * quantity for product, quantity in quantities.items()), Decimal(0)),
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
        "version": version,
    }


def _then(item: Item, **changes: Any) -> Item:
    """The item after a change that its writer counted."""
    return {**item, "updatedAt": "2025-11-20T12:05:00Z", "version": item["version"] + 1, **changes}


def _single_changes() -> dict[str, Event]:
    confirmed = order("1003", "confirmed", version=2, tea=3)
    paid = order("1004", "confirmed", version=2, cup=1)
    dropped = order("1005", "confirmed", version=2, tea=3)
    cancelled = order("1006", "cancelled", version=3, tea=1)
    forgotten = {**order("1007", "confirmed", version=2, pot=1), "ttl": EXPIRES}
    return {
        "insert-order": event(inserted(order("1001", tea=2, cup=1))),
        "insert-order-short-stock": event(inserted(order("1002", tea=1, pot=3))),
        "modify-status": event(modified(confirmed, _then(confirmed, status="shipped"))),
        "modify-nothing-relevant": event(modified(paid, _then(paid, note="Leave it with the neighbours"))),
        "modify-cancelled": event(modified(dropped, _then(dropped, status="cancelled"))),
        "remove-cancelled": event(removed(cancelled)),
        "remove-expired": event(expired(forgotten)),
    }


def _batches() -> dict[str, Event]:
    pending = order("1008", tea=5)
    confirmed = _then(pending, status="confirmed")
    twice = inserted(order("1009", tea=4))
    return {
        "mixed-batch": _mixed_batch(),
        # The order is cancelled by the time that its insertion is processed, so nothing is taken for it.
        "same-order-three-changes": event(
            inserted(pending), modified(pending, confirmed), modified(confirmed, _then(confirmed, status="cancelled"))
        ),
        "poison-record": event(
            inserted(order("1010", tea=1)), inserted(order("1011", tea=0)), inserted(order("1012", cup=1))
        ),
        "duplicate-record": event(twice, twice),
    }


def _mixed_batch() -> Event:
    shipped = order("2003", "shipped", version=3, cup=1)
    dropped = order("2004", "confirmed", version=2, customer="grace", cup=2)
    refused = order("2007", pot=3)
    reason = "Not enough in stock: pot (3 ordered, 2 available)."
    return event(
        inserted(order("2001", tea=4, pot=1)),
        inserted(_user()),
        inserted(order("2002", customer="grace", cup=9)),
        modified(shipped, _then(shipped, status="delivered")),
        inserted({**order("2005", tea=1), "items": "two cups of tea"}),
        modified(dropped, _then(dropped, status="cancelled")),
        removed(order("2006", "delivered", version=4, pot=1)),
        modified(refused, _then(refused, status="rejected", statusReason=reason)),
    )


def _odd_ones() -> dict[str, Event]:
    decorated = {
        **order("1013", tea=1),
        "signature": b"\x00\xff\x10",
        "scans": {b"\x01", b"\x02"},
        "tags": {"gift", "fragile"},
        "measures": {Decimal("1.5"), 30},
        "gift": True,
        "coupon": None,
        "history": [{"at": CREATED_AT, "by": "web", "proof": b"\x2a"}, ["nested", [1, Decimal("2.5")]]],
    }
    user, product = _user(), {"pk": "PRODUCT#tea", "sk": "INFO", "entityType": "Product", "name": "Tea"}
    return {
        "binary-and-sets": event(inserted(decorated)),
        "other-entity": event(inserted(user), modified(product, {**product, "name": "Green tea"}), removed(user)),
        # What a stream of view type KEYS_ONLY delivers: nothing can be told from it.
        "keys-only": event(
            record("INSERT", order("1014", tea=1), view="KEYS_ONLY"), record("REMOVE", order("1015"), view="KEYS_ONLY")
        ),
    }


def _user() -> Item:
    return {"pk": "USER#ada", "sk": "PROFILE", "entityType": "User", "name": "Ada"}
