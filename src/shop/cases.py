"""The orders of one call that are still to be decided, and the answers for those that are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shop.effects import Release, Reserve
from shop.ledger import StockItemError
from shop.orders import OrderKey
from shop.packing import Transaction
from shop.steps import Step, Verdict
from tablestream.sink import DONE, Answer, Effect, Permanent, Transient

E = TypeVar("E", Reserve, Release)

SUSPICIOUS = 10
"""Where all of so many orders are found invalid, it is hardly the orders."""


@dataclass(slots=True)
class InventoryCounts:
    """What one call of the inventory sink has come to."""

    confirmed: int = 0
    rejected: int = 0
    withdrawn: int = 0
    released: int = 0
    units_reserved: int = 0
    conflicts: int = 0
    """Actions that met somebody else's transaction."""

    def count(self, step: Step) -> None:
        """Count a step that has taken effect."""
        if step.verdict is Verdict.CONFIRM:
            self.confirmed += 1
            self.units_reserved += sum([quantity for _, quantity in step.lines])
        elif step.verdict is Verdict.REJECT:
            self.rejected += 1
        elif step.verdict is Verdict.WITHDRAW:
            self.withdrawn += 1
        else:
            self.released += 1


class Cases(Generic[E]):
    """Open cases in stream order. An order that comes several times in a call is one case."""

    __slots__ = ("_answers", "_sound", "alone", "broken", "counts", "doubted", "error", "open")

    def __init__(self, effects: Iterable[Effect[E]], counts: InventoryCounts) -> None:
        """Open a case for each order."""
        self.open: dict[OrderKey, Effect[E]] = {}
        for effect in effects:
            self.open.setdefault(effect.value.order, effect)
        self.counts = counts
        self.alone: set[OrderKey] = set()
        """Orders that must not share a transaction, as one of them is suspected of being invalid."""
        self.error: Exception = TimeoutError("the deadline came before this order")
        """Why the open cases are not closed."""
        self.doubted: set[str] = set()
        """Products whose stock items may be why a transaction can never succeed: they want to be read."""
        self.broken: list[StockItemError] = []
        """What is wrong with stock items."""
        self._sound: set[str] = set()
        self._answers: dict[OrderKey, Answer] = {}

    def close(self, order: OrderKey, answer: Answer = DONE) -> None:
        """Close a case; closing it again changes nothing."""
        if self.open.pop(order, None) is not None:
            self._answers[order] = answer

    def commit(self, steps: Sequence[Step]) -> None:
        """Close the cases of steps that have taken effect."""
        for step in steps:
            self.counts.count(step)
            self.close(step.order)

    def blame(self, transaction: Transaction, problem: str) -> None:
        """Hold a transaction that can never succeed against its order; of several, try each alone.

        Not before the stock items that it moves have been looked at: the order may be good and one of them is not.
        """
        orders = [step.order for step in transaction.steps]
        unknown = {product for step in transaction.steps for product, _ in step.moves} - self._sound
        if len(orders) > 1:
            self.alone.update(orders)
        elif unknown:
            self.doubted |= unknown
        else:
            self.close(orders[0], Permanent(f"DynamoDB does not take the transaction of this order: {problem}"))

    def trust(self, product: str) -> None:
        """Learn that a stock item is as it should be."""
        self.doubted.discard(product)
        self._sound.add(product)

    def hold_up(self, product: str, orders: Iterable[OrderKey], error: StockItemError) -> None:
        """Leave the orders that need a stock item that is broken to a later try: nothing is said against them."""
        self.doubted.discard(product)
        self.broken.append(error)
        for order in orders:
            self.close(order, Transient(error))

    def answers(self) -> dict[OrderKey, Answer]:
        """Return the answer for each order; what is still open may succeed at a later try."""
        answers = self._answers | dict.fromkeys(self.open, Transient(self.error))
        if len(answers) >= SUSPICIOUS and all(isinstance(answer, Permanent) for answer in answers.values()):
            return dict.fromkeys(answers, Transient(self.error))
        return answers
