"""Stock that orders reserve and release, each exactly once: the effects here, the sink that carries them out beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shop.orders import OrderKey, OrderLine


@dataclass(frozen=True, slots=True)
class Reserve:
    """Take the stock of a pending order and confirm the order, or reject it."""

    order: OrderKey
    lines: tuple[OrderLine, ...]
    """The units that are wanted, each product once."""
    order_bytes: int = 0
    """The size of the order's item; a transaction holds 4 MB of items."""
    key: ClassVar[str] = "reserve"

    def __str__(self) -> str:
        """Put it into words, for a dry run."""
        lines = ", ".join(f"{line.quantity} {line.product_id}" for line in self.lines)
        return f"take {lines} for {self.order} and confirm it, or reject it where that is too much"


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what is held for an order, which the ledger knows; hold nothing for it from now on."""

    order: OrderKey
    key: ClassVar[str] = "release"

    def __str__(self) -> str:
        """Put it into words, for a dry run."""
        return f"give back what the ledger holds for {self.order}"
