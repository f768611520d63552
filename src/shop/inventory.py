"""`InventorySink`: reserves and releases carried out, each exactly once, in as few transactions as possible."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from shop.cases import Cases, E, InventoryCounts
from shop.effects import Release, Reserve
from shop.ledger import Item, ItemKey, Stock
from shop.packing import Transaction, pack
from shop.reading import Reader
from shop.releases import Releases
from shop.reservations import Reservations
from shop.steps import Step, Tables
from shop.transactions import Committed, Outcome, Refusal, Transactor
from tablestream.dynamodb.errors import ErrorKind, Failed
from tablestream.run import Run
from tablestream.sink import Answer, Effect

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger("tablestream.shop")

_REPEATS = 3
"""How often a call whose outcome is unknown is sent again before the round is given up."""


_EAGER = 10
"""After so many rounds in a row that decided nothing the next one waits, whatever they learned."""


class Settlement(Protocol):
    """Open orders, what is known about them, and what to do next."""

    @property
    def cases(self) -> Cases[Any]:
        """Return the orders and their answers."""
        ...

    def unread(self) -> list[ItemKey]:
        """Return the items that must be read before the next plan."""
        ...

    def read(self, key: ItemKey, item: Item | None) -> None:
        """Learn what was read; None when there is no such item."""
        ...

    def impossible(self, key: ItemKey, problem: str) -> None:
        """Learn that DynamoDB does not take this key."""
        ...

    def plan(self) -> list[Step]:
        """Return the next steps, in stream order."""
        ...

    def committed(self, transaction: Transaction) -> None:
        """Learn that a transaction has taken effect."""
        ...

    def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Learn which conditions did not hold; return whether that was news."""
        ...

    def waited(self) -> None:
        """Learn that time has passed."""
        ...


class _Progress(Enum):
    ON = "the next round can begin at once"
    WAIT = "the next round should wait"
    STOP = "no round of this invocation will get further"


def _ignore(_counts: InventoryCounts) -> None:
    """Count nothing."""


class InventorySink:
    """Moves stock for orders, together with their status and the ledger.

    Rounds of plan, carry out, learn: a plan is made of what is known, DynamoDB's refusals tell what was not. A round
    after which the next begins at once has decided an order, or learned a fact that cannot be learned again before a
    wait (the stock of a product, an order withdrawn, an order to be tried alone, a ledger item's next state): there are
    finitely many of them. After every other round it waits, and the waits are bounded: their number starts anew only
    when an order has been decided. Should the argument not hold, rounds that decide nothing wait after a few anyway.
    """

    name = "inventory"
    takes = (Reserve, Release)
    idempotent = True

    def __init__(
        self,
        client: DynamoDBClient,
        tables: Tables,
        *,
        observe: Callable[[InventoryCounts], None] = _ignore,
    ) -> None:
        """Take a boto3 DynamoDB client and the tables; `observe` gets the counts of each call."""
        self._observe = observe
        self._transactor = Transactor(client, tables, repeats=_REPEATS)
        self._reader = Reader(client, tables.inventory)
        self._stock = Stock(tables.inventory)

    def apply(self, effects: Sequence[Effect[Reserve | Release]], run: Run) -> Sequence[Answer]:
        """Carry out releases, then reserves, so that what comes back can be given out; answer for each effect."""
        counts = InventoryCounts()
        releases = Releases(_of(Release, effects), self._stock, counts)
        reservations = Reservations(_of(Reserve, effects), self._stock, counts)
        for settlement in (releases, reservations):
            self._settle(settlement, run)
            for error in settlement.cases.broken:
                item = {"table": error.table, "item_key": f"{error.key.pk} / {error.key.sk}"}
                logger.error("stock item cannot be read", extra={**item, "error_class": type(error).__name__})
        self._observe(counts)
        released, reserved = releases.cases.answers(), reservations.cases.answers()
        return [(released if isinstance(effect.value, Release) else reserved)[effect.value.order] for effect in effects]

    def _settle(self, settlement: Settlement, run: Run) -> None:
        waits = run.backoff.waits(run.clock, run.deadline)
        idle = 0
        while settlement.cases.open and not run.deadline.expired:
            before = len(settlement.cases.open)
            progress = self._round(settlement, run)
            idle = 0 if len(settlement.cases.open) < before else idle + 1
            if progress is _Progress.STOP:
                return
            if progress is _Progress.WAIT or idle >= _EAGER:
                if not idle:
                    waits = run.backoff.waits(run.clock, run.deadline)
                if settlement.cases.open and next(waits, _USED_UP) is _USED_UP:
                    return
                settlement.waited()

    def _round(self, settlement: Settlement, run: Run) -> _Progress:
        progress = self._look_up(settlement, run)
        chains = pack(settlement.plan(), settlement.cases.alone)
        tried = run.parallel.run([partial(self._transactor.run, chain, run) for chain in chains])
        news = [_learn(settlement, transaction, outcome) for chain in tried for transaction, outcome in chain]
        return max([progress, *news], key=_GRAVITY.index)

    def _look_up(self, settlement: Settlement, run: Run) -> _Progress:
        wanted = settlement.unread()
        if not wanted:
            return _Progress.ON
        readings = self._reader.read(wanted, run)
        for key, item in readings.items.items():
            settlement.read(key, item)
        for key, (error, kind) in readings.failed.items():
            settlement.cases.error = error
            if kind is ErrorKind.INVALID:
                settlement.impossible(key, str(error))
        return _progress({kind for _, kind in readings.failed.values()} - {ErrorKind.INVALID})


def _of(kind: type[E], effects: Sequence[Effect[Any]]) -> list[Effect[E]]:
    return [effect for effect in effects if isinstance(effect.value, kind)]


_USED_UP = object()
_GRAVITY = (_Progress.ON, _Progress.WAIT, _Progress.STOP)


def _progress(kinds: set[ErrorKind]) -> _Progress:
    if ErrorKind.CONFIGURATION in kinds:
        return _Progress.STOP
    return _Progress.WAIT if kinds else _Progress.ON


def _learn(settlement: Settlement, transaction: Transaction, outcome: Outcome) -> _Progress:
    """Let a settlement learn what became of a transaction; say how to go on."""
    if isinstance(outcome, Committed):
        settlement.committed(transaction)
        return _Progress.ON
    settlement.cases.error = outcome.error
    if isinstance(outcome, Failed):
        return _learn_failure(settlement, transaction, outcome)
    settlement.cases.counts.conflicts += outcome.conflicts
    news = settlement.refused(outcome.refusals)
    if not outcome.refusals and outcome.invalid is not None:
        settlement.cases.blame(transaction, outcome.invalid)
        news = True
    return _Progress.ON if news and not outcome.busy else _Progress.WAIT


def _learn_failure(settlement: Settlement, transaction: Transaction, failure: Failed) -> _Progress:
    if failure.kind is ErrorKind.INVALID:
        settlement.cases.blame(transaction, str(failure.error))
        return _Progress.ON
    if failure.kind is ErrorKind.CONFLICT:
        settlement.cases.counts.conflicts += 1
    return _progress({failure.kind})
