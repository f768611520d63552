"""The ledger: one item for each order that says what was decided and what is held. It is what makes stock exactly-once.

    none → RESERVED → RELEASED
    none → REJECTED | WITHDRAWN

It is written in the same transaction as the stock that it speaks of, and never removed by the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from shop.orders import OrderKey, OrderLine

Item = Mapping[str, Any]
"""An item with its type tags, as DynamoDB's API gives and takes it."""


class LedgerState(StrEnum):
    """What was decided for an order."""

    RESERVED = "RESERVED"
    """Its lines are held."""
    REJECTED = "REJECTED"
    """There was not enough stock."""
    WITHDRAWN = "WITHDRAWN"
    """It was cancelled, removed or taken over before anything was held: a tombstone that a late reserve meets."""
    RELEASED = "RELEASED"
    """What was held has been given back."""


class ItemKey(NamedTuple):
    """The primary key of an item of the inventory table."""

    pk: str
    sk: str

    @classmethod
    def ledger(cls, order: OrderKey) -> ItemKey:
        """Return the key of an order's ledger item."""
        return cls(f"LEDGER#{order.pk}", order.sk)

    @classmethod
    def stock(cls, product_id: str) -> ItemKey:
        """Return the key of a product's stock item."""
        return cls(f"PRODUCT#{product_id}", "STOCK")

    @classmethod
    def of(cls, item: Item) -> ItemKey:
        """Return the key of an item."""
        return cls(item["pk"]["S"], item["sk"]["S"])

    def tagged(self) -> dict[str, Any]:
        """Return the key as DynamoDB's API takes it."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


class LedgerEntry(NamedTuple):
    """What a ledger item says."""

    state: LedgerState
    lines: tuple[OrderLine, ...]

    @classmethod
    def from_item(cls, item: Item) -> LedgerEntry:
        """Read a ledger item; raises `ValueError` when it is not one that this worker wrote."""
        try:
            state = LedgerState(item["state"]["S"])
            held = item.get("lines", {"M": {}})["M"]
            return cls(state, tuple([OrderLine(product, int(units["N"])) for product, units in held.items()]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the order's ledger item cannot be read: {type(error).__name__} {error}") from error


def tagged_lines(lines: Iterable[OrderLine]) -> dict[str, Any]:
    """Return lines as the ledger keeps them: a map from product to units."""
    return {"M": {product: {"N": str(quantity)} for product, quantity in lines}}


def available_in(item: Item) -> int:
    """Return the units that a stock item has; zero when it says nothing that can be read as a whole number."""
    try:
        return int(item["available"]["N"])
    except (KeyError, TypeError, ValueError):
        return 0
