"""`InventoryCounts`: numbers of one call of the sink, for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from tablestream.dynamodb.transactions import Decision


class DecisionKind(Enum):
    """Decisions for an order."""

    CONFIRM = "confirm"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    RELEASE = "release"


class StockMetric(StrEnum):
    """Names of metrics, besides those of the worker."""

    CONFIRMED = "OrdersConfirmed"
    REJECTED = "OrdersRejected"
    WITHDRAWN = "OrdersWithdrawn"
    """Orders that were cancelled, removed or taken over before anything was held for them."""
    RELEASED = "OrdersReleased"
    UNITS_RESERVED = "UnitsReserved"
    CONFLICTS = "StockConflicts"
    """Actions that met another transaction on the same item. Many of them: fewer shards should share a product."""


@dataclass(slots=True)
class InventoryCounts:
    """The number of orders by decision, and what came with them."""

    confirmed: int = 0
    rejected: int = 0
    withdrawn: int = 0
    released: int = 0
    units_reserved: int = 0
    conflicts: int = 0
    """Actions that met somebody else's transaction."""

    def count(self, kind: DecisionKind, decision: Decision) -> None:
        """Count a decision that has taken effect."""
        if kind is DecisionKind.CONFIRM:
            self.confirmed += 1
            self.units_reserved -= sum([int(move.amount) for move in decision.moves])
        elif kind is DecisionKind.REJECT:
            self.rejected += 1
        elif kind is DecisionKind.WITHDRAW:
            self.withdrawn += 1
        else:
            self.released += 1

    def by_metric(self) -> dict[str, int]:
        """Return the counts by the names of their metrics."""
        return {
            StockMetric.CONFIRMED: self.confirmed,
            StockMetric.REJECTED: self.rejected,
            StockMetric.WITHDRAWN: self.withdrawn,
            StockMetric.RELEASED: self.released,
            StockMetric.UNITS_RESERVED: self.units_reserved,
            StockMetric.CONFLICTS: self.conflicts,
        }
