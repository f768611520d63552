"""`InventoryCounts`: numbers of one call of the sink, for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tablestream.dynamodb.transactions import Decision


class DecisionKind(Enum):
    """Decisions for an order."""

    CONFIRM = "confirm"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    RELEASE = "release"


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
