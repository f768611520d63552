"""Seeded records as a shop's table gives them: what is measured is made here, and made the same in every run.

40 % new orders, 45 % changes (half of them of the status), 10 % removals, 5 % of other entities. An image has 15
attributes, three lines and about 1.2 KB; every fifth change is of an order that stands earlier in the batch.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tablestream.testing import event, inserted, modified, removed

Item = dict[str, Any]
Record = dict[str, Any]

LINES = 3
PRODUCTS = 2000

_NEXT_STATUS = {"pending": "cancelled", "confirmed": "shipped", "shipped": "delivered"}
_STREETS = ("Lindenstrasse", "Harbour Road", "Rua das Flores", "Via Garibaldi", "Kungsgatan")
_WORDS = ("leave", "with", "the", "neighbour", "please", "ring", "twice", "gift", "wrapped", "no", "invoice", "inside")


class Shop:
    """Makes orders and their changes from a seed."""

    def __init__(self, seed: int = 2026, lines: int = LINES) -> None:
        """Start at the first order; `lines` is how many an order has."""
        self._random = random.Random(seed)  # noqa: S311 -- repeatable records, nothing cryptographic
        self._lines = lines
        self._count = 0
        self._alive: list[Item] = []

    def order(self, status: str = "pending", product: Callable[[int], str] | None = None) -> Item:
        """Make an order; `product` names the product of each line, by default one of 2000."""
        draw, self._count = self._random, self._count + 1
        order_id, customer_id = f"{draw.getrandbits(80):020x}", f"{draw.getrandbits(48):012x}"
        prices = [Decimal(draw.randrange(100, 90_000)) / 100 for _ in range(self._lines)]
        lines = [
            {"productId": product(line) if product else self._product(line), "quantity": line % 4 + 1, "price": price}
            for line, price in enumerate(prices)
        ]
        return {
            "pk": f"USER#{customer_id}",
            "sk": f"ORDER#{order_id}",
            "GSI1PK": f"ORDER#{order_id}",
            "GSI1SK": f"USER#{customer_id}",
            "entityType": "Order",
            "orderId": order_id,
            "customerId": customer_id,
            "status": status,
            "items": lines,
            "total": sum(prices, Decimal(0)),
            "createdAt": "2026-11-20T12:00:00.000Z",
            "updatedAt": "2026-11-20T12:00:00.000Z",
            "version": 1,
            "address": self._address(),
            "note": " ".join(draw.choices(_WORDS, k=24)),
        }

    def record(self) -> Record:
        """Make the next record of the mix."""
        kind = self._random.random()
        if kind < 0.40:
            return self.insert()
        if kind < 0.85:
            return self.modify()
        return self.remove() if kind < 0.95 else self.other()

    def insert(self) -> Record:
        """Make the record of a new order."""
        order = self.order()
        self._alive.append(order)
        return inserted(order)

    def modify(self) -> Record:
        """Make the record of a changed order, every second time with another status."""
        if self._alive and self._random.random() < 0.2:
            old = self._alive.pop(self._random.randrange(len(self._alive)))
        else:
            old = self.order(self._random.choice(tuple(_NEXT_STATUS)))
        changed: Item = {"updatedAt": "2026-11-20T12:00:05.000Z", "version": old["version"] + 1}
        if self._random.random() < 0.5:
            changed["status"] = _NEXT_STATUS.get(old["status"], "confirmed")
        return modified(old, {**old, **changed})

    def remove(self) -> Record:
        """Make the record of a removed order."""
        return removed(self.order(self._random.choice(("confirmed", "cancelled", "delivered"))))

    def other(self) -> Record:
        """Make the record of an entity that no handler wants."""
        customer_id = f"{self._random.getrandbits(48):012x}"
        profile = {"pk": f"USER#{customer_id}", "sk": "PROFILE", "entityType": "Customer", "name": "A. N. Other"}
        return inserted({**profile, "address": self._address(), "note": " ".join(self._random.choices(_WORDS, k=90))})

    def _product(self, line: int) -> str:
        return f"SKU-{self._random.randrange(PRODUCTS):05d}-{line}"

    def _address(self) -> Mapping[str, Any]:
        draw = self._random
        return {
            "name": f"Customer {draw.randrange(100_000)}",
            "street": f"{draw.choice(_STREETS)} {draw.randrange(1, 200)}",
            "city": "Springfield",
            "postcode": f"{draw.randrange(10_000, 99_999)}",
            "country": "DE",
        }


def mixed_event(count: int, seed: int = 2026) -> str:
    """Return the JSON text of an event with so many records of the mix."""
    shop = Shop(seed)
    return json.dumps(event(*[shop.record() for _ in range(count)]), separators=(",", ":"))
