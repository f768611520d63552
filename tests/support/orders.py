"""Orders as plain items, as the shop's writers put them into the table, and what is wanted for them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from shop.orders import OrderKey, OrderLine
from shop.stock import Release, Reserve
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


def nth_order(number: int, **changes: ANYTHING) -> dict[str, ANYTHING]:
    """Return an order with keys and an id of its own."""
    keys = {**order_key(number)._asdict(), "orderId": f"o-{number}"}
    return order_item(**(keys | changes))


def order_key(number: int) -> OrderKey:
    """Return the key of `nth_order`."""
    return OrderKey(f"USER#{number}", f"ORDER#{number}")


def order_change(
    number: int = 1, make: Callable[..., Record] = inserted, event: str = "event", **changes: ANYTHING
) -> Change:
    """Return a change of an order, by default a new one, with the event id `event-1`."""
    record = make(nth_order(number, **changes), sequence_number=100 + number)
    return Change.from_record({**record, "eventID": f"{event}-{number}"})


def reserve(number: int, **lines: int) -> Reserve:
    """Return the wish for so many units of these products for an order."""
    return Reserve(order_key(number), tuple([OrderLine(*line) for line in lines.items()]))


def release(number: int) -> Release:
    """Return the wish to give back what an order holds."""
    return Release(order_key(number))


def line(product: ANYTHING = "tea", quantity: ANYTHING = 1) -> dict[str, ANYTHING]:
    return {"productId": product, "quantity": quantity}
