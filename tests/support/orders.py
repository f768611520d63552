"""Orders as plain items, as the shop's writers put them into the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tablestream.change import Change
from tablestream.testing import Record, inserted

ANYTHING = Any
"""Tests also put in what does not belong there."""


def order_item(**changes: ANYTHING) -> dict[str, ANYTHING]:
    """Return a good order with some attributes changed; None takes an attribute away."""
    item = {
        "pk": "USER#c-1",
        "sk": "ORDER#o-1",
        "entityType": "Order",
        "orderId": "o-1",
        "customerId": "c-1",
        "status": "pending",
        "items": [
            {"productId": "tea", "quantity": 2, "price": Decimal("4.50")},
            {"productId": "cup", "quantity": 1, "price": Decimal("12.00")},
        ],
        "total": Decimal("21.00"),
        "version": 1,
        "email": "jane@example.com",
    }
    return {name: value for name, value in (item | changes).items() if value is not None}


def order_change(
    number: int = 1, make: Callable[..., Record] = inserted, event: str = "event", **changes: ANYTHING
) -> Change:
    """Return a change of an order, by default a new one, with the event id `event-1`."""
    keys = {"pk": f"USER#{number}", "sk": f"ORDER#{number}", "orderId": f"o-{number}"}
    record = make(order_item(**(keys | changes)), sequence_number=100 + number)
    return Change.from_record({**record, "eventID": f"{event}-{number}"})


def lines_of(units: Mapping[str, int]) -> list[dict[str, ANYTHING]]:
    """Return the lines of an order that wants so many units of these products."""
    return [line(product, quantity) for product, quantity in units.items()]


def line(product: ANYTHING = "tea", quantity: ANYTHING = 1) -> dict[str, ANYTHING]:
    return {"productId": product, "quantity": quantity}
