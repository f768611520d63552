"""The ledger: one item for each order that says what was decided and what is held. It is what makes stock exactly-once.

    none → RESERVED → RELEASED
    none → REJECTED | WITHDRAWN

It is written in the same transaction as the stock that it speaks of, and never removed by the worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from shop.orders import OrderLine
from tablestream.dynamodb.items import Item, Key
from tablestream.errors import InvalidRecord, describe
from tablestream.image import Image, whole


class LedgerState(StrEnum):
    """The state of an order's ledger item."""

    RESERVED = "RESERVED"
    """Its lines are held."""
    REJECTED = "REJECTED"
    """There was not enough stock."""
    WITHDRAWN = "WITHDRAWN"
    """It was cancelled, removed or taken over before anything was held: a tombstone that a late reserve meets."""
    RELEASED = "RELEASED"
    """Its lines were held and have been given back."""


class LedgerEntry(NamedTuple):
    """The content of a ledger item."""

    state: LedgerState
    lines: tuple[OrderLine, ...]

    @classmethod
    def from_item(cls, item: Item) -> LedgerEntry:
        """Read a ledger item; raises `ValueError` when it is not one that this worker wrote."""
        try:
            state = LedgerState(item["state"]["S"])
            held = Image(item).get("lines", {})
            return cls(state, tuple([OrderLine(product, _units(units)) for product, units in held.items()]))
        except (AttributeError, InvalidRecord, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the order's ledger item cannot be read: {type(error).__name__} {error}") from error


def tagged_lines(lines: Iterable[OrderLine]) -> dict[str, Any]:
    """Return lines as the ledger keeps them: a map from product to units."""
    return {"M": {product: {"N": str(quantity)} for product, quantity in lines}}


def _units(value: object) -> int:
    units = whole(value)
    if units is None:
        raise ValueError(f"wanted whole units, got {describe(value)}")
    return units


class StockItemError(Exception):
    """A product's stock item does not say what is available: no order is at fault, and the item wants mending."""

    def __init__(self, key: Key, got: str) -> None:
        """Name the item, which logs may do: its key is a product's. `got` is the type of what came."""
        wanted = f"wanted a whole number as `available` of {name_of(key)} in the table {key.table}"
        super().__init__(f"{wanted}, got {got}")


def name_of(key: Key) -> str:
    """Return the values of a key in words."""
    return " / ".join([str(value) for _, value in key.attributes])


def available(key: Key, item: Item | None) -> int | None:
    """Return the units that a stock item has, None when there is none; raises `StockItemError`.

    An item that says nothing has no units: DynamoDB's ADD makes the attribute then.
    """
    if item is None:
        return None
    try:
        value = Image(item).get("available", 0)
    except InvalidRecord:
        raise StockItemError(key, "a malformed value") from None
    return units_of(key, value)


def units_of(key: Key, value: object) -> int:
    """Return the units that a stock item says it has, as a plain value; raises `StockItemError`."""
    units = whole(value)
    if units is None:
        raise StockItemError(key, f"a {type(value).__name__} that is none")
    return units
