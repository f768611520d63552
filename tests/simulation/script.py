"""What happens to the table in one schedule: orders placed, changed, cancelled, removed; bad ones among them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tablestream.testing import Raw, image
from tests.simulation.aws import Aws
from tests.simulation.door import errands
from tests.simulation.door.errands import Door
from tests.simulation.network import Outage
from tests.simulation.stream import Stream

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Write:
    """One thing a customer, the shop's staff or Time to Live does, at a time after the beginning."""

    at: float
    kind: str
    order: int
    lines: tuple[tuple[int, int], ...] = ()
    """Product and quantity."""
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A schedule's writes, stock and outages."""

    writes: tuple[Write, ...]
    stock: tuple[int, ...]
    outages: tuple[Outage, ...] = ()
    door: Door = field(default_factory=Door)


FLAWS: Mapping[str, Mapping[str, Any]] = {
    "no items": {"items": None},
    "empty items": {"items": []},
    "quantity zero": {"items": [{"productId": "p0", "quantity": 0}]},
    "half a unit": {"items": [{"productId": "p0", "quantity": Raw({"N": "1.5"})}]},
    "no product": {"items": [{"quantity": 1}]},
    "status": {"status": "lost"},
    "no entity type": {"entityType": None},
    "too many products": {"items": [{"productId": f"x{n}", "quantity": 1} for n in range(99)]},
}
_LATER = ("cancel", "cancel", "ship", "deliver", "remove", "expire", "edit", "edit items", "touch", "draft")
_LATER_AND_BAD = (*_LATER, "spoil", "reopen")


def draw(rng: random.Random, *, poison: bool, rate: float) -> Script:
    """Draw a script of some three to thirty records, without clients of the HTTP API."""
    products = rng.choice((1, 2, 3, 5))
    scarce = rng.random() < 0.5
    # Bursts, whose records come in one batch, and trickles.
    length = rng.choice((0.05, 0.3, 3.0, 10.0))
    orders = rng.randint(1, 10) if rng.random() < 0.9 else rng.randint(11, 30)
    writes: list[Write] = []
    for order in range(orders):
        begun = rng.uniform(0, length)
        writes.append(_place(rng, order, begun, products, poison=poison))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            begun += rng.choice((0.01, 0.01, 0.3, 2.0)) * rng.random()
            kind = rng.choice(_LATER_AND_BAD if poison else _LATER)
            writes.append(Write(begun, kind, order, _lines(rng, products), flaw=rng.choice(("status", "empty items"))))
        if rng.random() < 0.1:
            writes.append(Write(begun, "other", order))
    stock = tuple(rng.randint(0, 6) if scarce else 1000 for _ in range(products))
    outages = _outages(rng, rate, length)
    return Script(tuple(sorted(writes, key=lambda write: write.at)), stock, outages)


def _place(rng: random.Random, order: int, at: float, products: int, *, poison: bool) -> Write:
    flaw = rng.choice(list(FLAWS)) if poison and rng.random() < 0.12 else ""
    kind = rng.choices(("place", "place confirmed", "place draft"), (90, 5, 5))[0]
    return Write(at, kind, order, _lines(rng, products), flaw)


def _lines(rng: random.Random, products: int) -> tuple[tuple[int, int], ...]:
    # Product 0 is in most orders: a hot item.
    chosen = [0 if rng.random() < 0.6 else rng.randrange(products) for _ in range(rng.choice((1, 1, 2, 3)))]
    return tuple((product, rng.randint(1, 3)) for product in chosen)


_OUTAGES = (
    *("s3", "journal", "topic", "inventory"),
    *("s3 hangs", "journal hangs", "topic hangs", "inventory hangs", "inventory hangs"),
    *("slow", "entries", "entries", "hot", "hot", "twice"),
)


def _outages(rng: random.Random, rate: float, length: float) -> tuple[Outage, ...]:
    if rng.random() > min(0.5, rate * 20):
        return ()
    found = []
    for _ in range(rng.choice((1, 1, 2))):
        begins = rng.uniform(0, rng.choice((0.1, length, 5.0)))
        service = rng.choice(_OUTAGES)
        found.append(Outage(service, begins, begins + rng.choice((2.0, 15.0, 60.0))))
    return tuple(found)


def with_door(script: Script, rng: random.Random) -> Script:
    """Return a script with clients of the HTTP API, and bursts of what DynamoDB refuses."""
    door = errands.draw(rng, len(script.stock))
    begins = rng.uniform(0, 5)
    lasts = rng.choice((0.5, 3.0, 20.0))
    bursts = (Outage(rng.choice(("throttled", "busy", "busy")), begins, begins + lasts),) if rng.random() < 0.4 else ()
    return replace(script, outages=(*script.outages, *bursts), door=door)


class Shop:
    """Carries a script out on the table, with the checks that the shop's own writers make."""

    def __init__(self, aws: Aws, stream: Stream) -> None:
        self._table = aws.orders
        self._stream = stream

    def write(self, write: Write) -> None:
        key = (f"USER#{write.order % 3}", f"ORDER#{write.order}")
        old = self._table.items.get(key)
        if write.kind == "other":
            self._table.store(("USER#1", f"PROFILE#{write.order}"), image(_profile(write.order)))
        elif write.kind in _PLACED:
            if old is None:
                self._table.store(key, _new_order(key, write))
        elif old is not None:
            self._change(key, old, write)

    def _change(self, key: tuple[str, str], old: Item, write: Write) -> None:
        if write.kind in {"remove", "expire"}:
            self._stream.expiring = write.kind == "expire"
            self._table.store(key, None)
            self._stream.expiring = False
        elif write.kind == "touch":
            self._table.store(key, dict(old))
        elif old.get("entityType") == {"S": _DRAFT}:
            # A draft becomes an order, and none again that was one: an order is decided once.
            if "first" in old:
                self._table.store(key, _next_version(old, entityType="Order", first=None))
        elif write.kind in _FROM:
            if old["status"]["S"] in _FROM[write.kind]:
                self._table.store(key, _next_version(old, status=_TO[write.kind]))
        else:
            self._table.store(key, _next_version(old, **_change_of(write)))


def _change_of(write: Write) -> Mapping[str, Any]:
    if write.kind == "spoil":
        # The status changes, so that the handlers look at it.
        return {"status": "cancelled", **FLAWS[write.flaw]}
    changes: Mapping[str, Mapping[str, Any]] = {
        "edit": {"note": "please ring twice"},
        "edit items": {"items": _items(write.lines)},
        "draft": {"entityType": _DRAFT},
        "reopen": {"status": "pending"},
    }
    return changes[write.kind]


_PLACED = {"place": "pending", "place confirmed": "confirmed", "place draft": "pending"}
"""The status of what is placed."""
_DRAFT = "Draft"
_FROM = {"cancel": ("pending", "confirmed"), "ship": ("confirmed",), "deliver": ("shipped",)}
_TO = {"cancel": "cancelled", "ship": "shipped", "deliver": "delivered"}


def _items(lines: tuple[tuple[int, int], ...]) -> list[dict[str, Any]]:
    return [{"productId": f"p{product}", "quantity": quantity, "price": 5} for product, quantity in lines]


def _new_order(key: tuple[str, str], write: Write) -> Item:
    order: dict[str, Any] = {
        "pk": key[0],
        "sk": key[1],
        "entityType": "Order",
        "orderId": str(write.order),
        "customerId": key[0].removeprefix("USER#"),
        "status": _PLACED[write.kind],
        "items": _items(write.lines),
        "total": 10,
        "version": 1,
    }
    order |= {"entityType": _DRAFT, "first": True} if write.kind == "place draft" else FLAWS.get(write.flaw, {})
    return image({name: value for name, value in order.items() if value is not None})


def _next_version(old: Item, **changes: object) -> Item:
    """Return the item with the next version and with other attributes, without those that are None."""
    gone = {name for name, value in changes.items() if value is None}
    changed = {name: value for name, value in changes.items() if value is not None}
    kept = {name: value for name, value in old.items() if name not in gone}
    return {**kept, **image({"version": int(old["version"]["N"]) + 1, **changed})}


def _profile(number: int) -> dict[str, Any]:
    return {"pk": "USER#1", "sk": f"PROFILE#{number}", "entityType": "Customer", "name": "N. N."}
