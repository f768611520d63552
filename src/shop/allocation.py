"""Who gets what there is: stock given out in stream order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shop.effects import Reserve
from shop.orders import OrderLine

Stock = Mapping[str, int | None]
"""Units available by product, as far as known; None for a product that does not exist."""

_PRODUCTS_NAMED = 5
_ID_SHOWN = 60


def allocate(reserves: Iterable[Reserve], stock: Stock) -> list[str | None]:
    """Return, for each order in stream order, None when it can have all its lines, else why not.

    An order gets all its lines or nothing, and then takes nothing from those after it. Products whose stock is not
    known are taken to suffice: whether they do is the transaction's condition to say.
    """
    left = dict(stock)
    return [_take(reserve.lines, left) for reserve in reserves]


def _take(lines: Sequence[OrderLine], left: dict[str, int | None]) -> str | None:
    if not left:
        return None
    short = [line for line in lines if line.product_id in left and (left[line.product_id] or 0) < line.quantity]
    if short:
        return _reason(short, left)
    for product, quantity in lines:
        available = left.get(product)
        if available is not None:
            left[product] = available - quantity
    return None


def _reason(short: Sequence[OrderLine], left: Stock) -> str:
    """Say in a sentence or two, for the customer, which lines cannot be had; long orders and long ids are shortened."""
    missing = [line for line in short if left[line.product_id] is not None]
    unknown = [line for line in short if left[line.product_id] is None]
    sentences = []
    if missing:
        named = [
            f"{_shown(line.product_id)} ({line.quantity} ordered, {left[line.product_id]} available)"
            for line in missing
        ]
        sentences.append(f"Not enough in stock: {_listed(named)}.")
    if unknown:
        sentences.append(f"Unknown product: {_listed([_shown(line.product_id) for line in unknown])}.")
    return " ".join(sentences)


def _listed(named: Sequence[str]) -> str:
    more = len(named) - _PRODUCTS_NAMED
    return ", ".join(named[:_PRODUCTS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(product_id: str) -> str:
    return product_id if len(product_id) <= _ID_SHOWN else f"{product_id[:_ID_SHOWN]}…"
