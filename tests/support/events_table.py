"""The sample events: what the worker answers to each file of `events/`, and what it does.

Before each: the stock of `demo.warehouse.PRODUCTS`, the orders as the event's last images show them (see
`demo.warehouse.seed`), and the ledger entries of `ledger_before`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.warehouse import PRODUCTS

EVENTS = Path(__file__).parents[2] / "events"
SUCCESS: Mapping[str, Any] = {"batchItemFailures": []}


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to come of an event. Orders are named by their ids."""

    answer: Mapping[str, Any] | None = field(default_factory=lambda: SUCCESS)
    error: str | None = None
    """The class of the error that the handler raises."""
    ledger_before: Mapping[str, tuple[str, Mapping[str, int]]] = field(default_factory=dict)
    """State and lines."""
    taken: Mapping[str, int] = field(default_factory=dict)
    """Units by product that are gone from stock; negative when they come back."""
    ledger: Mapping[str, str] = field(default_factory=dict)
    """State by order, of every ledger entry that there is afterwards."""
    statuses: Mapping[str, str] = field(default_factory=dict)
    """Of the orders whose status the worker has changed."""
    notifications: tuple[str, ...] = ()
    """`<type> <order>`, in any order."""
    dead_letters: tuple[int, ...] = ()
    """Places of the records that are stored."""

    @property
    def stock(self) -> dict[str, int]:
        """What is available of each product afterwards."""
        return {product: units - self.taken.get(product, 0) for product, units in PRODUCTS.items()}


TABLE: Mapping[str, Expected] = {
    "insert-order": Expected(
        taken={"tea": 2, "cup": 1},
        ledger={"1001": "RESERVED"},
        statuses={"1001": "confirmed"},
        notifications=("order.received 1001",),
    ),
    "insert-order-short-stock": Expected(
        ledger={"1002": "REJECTED"},
        statuses={"1002": "rejected"},
        notifications=("order.received 1002",),
    ),
    "modify-status": Expected(
        ledger_before={"1003": ("RESERVED", {"tea": 3})},
        ledger={"1003": "RESERVED"},
        notifications=("order.shipped 1003",),
    ),
    "modify-nothing-relevant": Expected(
        ledger_before={"1004": ("RESERVED", {"cup": 1})},
        ledger={"1004": "RESERVED"},
    ),
    "modify-cancelled": Expected(
        ledger_before={"1005": ("RESERVED", {"tea": 3})},
        taken={"tea": -3},
        ledger={"1005": "RELEASED"},
        notifications=("order.cancelled 1005",),
    ),
    "remove-cancelled": Expected(
        ledger_before={"1006": ("RELEASED", {"tea": 1})},
        ledger={"1006": "RELEASED"},
        notifications=("order.removed 1006",),
    ),
    "remove-expired": Expected(
        ledger_before={"1007": ("RESERVED", {"pot": 1})},
        taken={"pot": -1},
        ledger={"1007": "RELEASED"},
        notifications=("order.expired 1007",),
    ),
    "mixed-batch": Expected(
        ledger_before={"2003": ("RESERVED", {"cup": 1}), "2004": ("RESERVED", {"cup": 2})},
        taken={"tea": 4, "pot": 1, "cup": -2},
        ledger={"2001": "RESERVED", "2002": "REJECTED", "2003": "RESERVED", "2004": "RELEASED"},
        statuses={"2001": "confirmed", "2002": "rejected"},
        notifications=(
            "order.received 2001",
            "order.received 2002",
            "order.delivered 2003",
            "order.cancelled 2004",
            "order.rejected 2007",
        ),
        dead_letters=(4,),
    ),
    "same-order-three-changes": Expected(
        ledger={"1008": "WITHDRAWN"},
        notifications=("order.received 1008", "order.confirmed 1008", "order.cancelled 1008"),
    ),
    "poison-record": Expected(
        taken={"tea": 1, "cup": 1},
        ledger={"1010": "RESERVED", "1012": "RESERVED"},
        statuses={"1010": "confirmed", "1012": "confirmed"},
        notifications=("order.received 1010", "order.received 1012"),
        dead_letters=(1,),
    ),
    "duplicate-record": Expected(
        taken={"tea": 4},
        ledger={"1009": "RESERVED"},
        statuses={"1009": "confirmed"},
        notifications=("order.received 1009",),
    ),
    "binary-and-sets": Expected(
        taken={"tea": 1},
        ledger={"1013": "RESERVED"},
        statuses={"1013": "confirmed"},
        notifications=("order.received 1013",),
    ),
    "other-entity": Expected(),
    "keys-only": Expected(answer=None, error="InvalidEvent"),
}


def customer_of(order_id: str) -> str:
    """The customer who placed an order of the samples."""
    return "grace" if order_id in {"2002", "2004"} else "ada"


def ledger_items(expected: Expected) -> list[dict[str, Any]]:
    """The ledger entries of `ledger_before` as items with type tags."""
    return [
        {
            "pk": {"S": f"LEDGER#USER#{customer_of(order_id)}"},
            "sk": {"S": f"ORDER#{order_id}"},
            "state": {"S": state},
            "lines": {"M": {product: {"N": str(units)} for product, units in lines.items()}},
            "effectId": {"S": "before"},
            "decidedAt": {"S": "2025-11-20T11:00:00Z"},
        }
        for order_id, (state, lines) in expected.ledger_before.items()
    ]
