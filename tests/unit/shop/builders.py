"""Orders as plain items, as the shop's writers put them into the table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

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


def line(product: ANYTHING = "tea", quantity: ANYTHING = 1) -> dict[str, ANYTHING]:
    return {"productId": product, "quantity": quantity}
