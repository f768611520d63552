"""Many decisions, each carried out exactly once: rounds of plan, carry out, learn.

Each decision has a ledger entry, an item that only this decision writes, in the same transaction as what it guards. The
condition on the entry makes the decision happen once, whoever tries how often.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from tablestream.dynamodb.client import READ_LIMIT, read_batch
from tablestream.dynamodb.errors import ErrorKind, Failed
from tablestream.dynamodb.items import Item, Key
from tablestream.dynamodb.transactions import (
    Committed,
    Decision,
    Refusal,
    Transaction,
    TransactionOutcome,
    carry_out,
    pack,
)
from tablestream.run import Run, chunks
from tablestream.sink import DONE, Answer, Permanent, Transient

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

W = TypeVar("W")

SUSPICIOUS = 10
"""Where all of so many subjects are found invalid, it is hardly the subjects."""

_EAGER = 10
"""After so many rounds in a row that decided nothing the next one waits, whatever they learned."""


class OpenDecisions(Generic[W]):
    """Subjects that are still to be decided, in stream order, and the answers for those that are."""

    __slots__ = ("_answers", "_sound", "alone", "broken", "conflicts", "doubted", "error", "open")

    def __init__(self, wanted: Iterable[tuple[Hashable, W]]) -> None:
        """Take subjects and what is wanted for each; of several wishes for one subject the first counts."""
        self.open: dict[Hashable, W] = {}
        for subject, wish in wanted:
            self.open.setdefault(subject, wish)
        self.alone: set[Hashable] = set()
        """Subjects that must not share a transaction, as one of them is suspected of being invalid."""
        self.error: Exception = TimeoutError("the deadline came before this decision")
        """The reason why the open decisions are not made."""
        self.doubted: set[Key] = set()
        """Shared items that may be why a transaction can never succeed: they want to be read."""
        self.broken: dict[Key, Exception] = {}
        """Shared items that are not as they should be."""
        self.conflicts = 0
        """Actions that met somebody else's transaction."""
        self._sound: set[Key] = set()
        self._answers: dict[Hashable, Answer] = {}

    def close(self, subject: Hashable, answer: Answer = DONE) -> None:
        """Close a decision; closing it again changes nothing."""
        if self.open.pop(subject, None) is not None:
            self._answers[subject] = answer

    def blame(self, transaction: Transaction, problem: str) -> None:
        """Hold a transaction that can never succeed against its subject; of several, try each alone.

        Not before the shared items that it moves have been looked at: the subject may be good and one of them is not.
        """
        decisions = transaction.decisions
        unknown = {move.key for decision in decisions for move in decision.moves} - self._sound
        if len(decisions) > 1:
            self.alone.update([decision.subject for decision in decisions])
        elif unknown:
            self.doubted |= unknown
        else:
            self.close(decisions[0].subject, Permanent(f"DynamoDB does not take the transaction: {problem}"))

    def trust(self, key: Key) -> None:
        """Learn that a shared item is as it should be."""
        self.doubted.discard(key)
        self._sound.add(key)

    def hold_up(self, key: Key, subjects: Iterable[Hashable], error: Exception) -> None:
        """Leave the subjects that need a shared item that is broken to a later try: nothing is said against them."""
        self.doubted.discard(key)
        self.broken[key] = error
        for subject in subjects:
            self.close(subject, Transient(error))

    def answers(self) -> dict[Hashable, Answer]:
        """Return the answer for each subject; what is still open may succeed at a later try."""
        answers = self._answers | dict.fromkeys(self.open, Transient(self.error))
        if len(answers) >= SUSPICIOUS and all(isinstance(answer, Permanent) for answer in answers.values()):
            return dict.fromkeys(answers, Transient(self.error))
        return answers


class Undecided(Protocol):
    """Subjects that are to be decided, what is known about them, and what to do next."""

    @property
    def decisions(self) -> OpenDecisions[Any]:
        """The subjects that are open, and the answers."""
        ...

    def unread(self) -> Sequence[Key]:
        """Return the items that must be read before the next plan."""
        ...

    def read(self, key: Key, item: Item | None) -> None:
        """Learn what was read; None when there is no such item."""
        ...

    def impossible(self, key: Key, problem: str) -> None:
        """Learn that DynamoDB does not take this key."""
        ...

    def plan(self, now: float) -> Sequence[Decision]:
        """Return the next decisions, in stream order; `now` is in seconds since the epoch."""
        ...

    def committed(self, decisions: Sequence[Decision]) -> None:
        """Learn that decisions have taken effect, and close them."""
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


def settle(client: DynamoDBClient, undecided: Undecided, run: Run) -> None:
    """Decide what can be decided before the deadline; `undecided.decisions` has the answers then.

    Rounds of plan, carry out, learn: a plan is made of what is known, DynamoDB's refusals tell what was not. A round
    after which the next begins at once has decided a subject, or learned a fact that cannot be learned again before a
    wait (how much a shared item has, a subject to be tried alone, a ledger entry's next state): there are finitely many
    of them. After every other round it waits, and the waits are bounded: their number starts anew only when a subject
    has been decided. Should the argument not hold, rounds that decide nothing wait after a few anyway.
    """
    waits: Iterator[None] | None = None
    idle = 0
    while undecided.decisions.open and not run.deadline.expired:
        before = len(undecided.decisions.open)
        progress = _round(client, undecided, run)
        idle = 0 if len(undecided.decisions.open) < before else idle + 1
        if progress is _Progress.STOP:
            return
        if progress is _Progress.WAIT or idle >= _EAGER:
            if waits is None or not idle:
                waits = run.backoff.waits(run.clock, run.deadline)
            if undecided.decisions.open and next(waits, _USED_UP) is _USED_UP:
                return
            undecided.waited()


_USED_UP = object()
_GRAVITY = (_Progress.ON, _Progress.WAIT, _Progress.STOP)


def _round(client: DynamoDBClient, undecided: Undecided, run: Run) -> _Progress:
    progress = _look_up(client, undecided, run)
    chains = pack(undecided.plan(run.clock.now()), undecided.decisions.alone)
    tried = run.parallel.run([partial(carry_out, client, chain, run) for chain in chains])
    news = [_learn(undecided, transaction, outcome) for chain in tried for transaction, outcome in chain]
    return max([progress, *news], key=_GRAVITY.index)


def _look_up(client: DynamoDBClient, undecided: Undecided, run: Run) -> _Progress:
    wanted = undecided.unread()
    if not wanted:
        return _Progress.ON
    readings = get_items(client, wanted, run)
    for key, item in readings.items.items():
        undecided.read(key, item)
    for key, (error, kind) in readings.failed.items():
        undecided.decisions.error = error
        if kind is ErrorKind.INVALID:
            undecided.impossible(key, str(error))
    return _progress({kind for _, kind in readings.failed.values()} - {ErrorKind.INVALID})


def _progress(kinds: set[ErrorKind]) -> _Progress:
    if ErrorKind.CONFIGURATION in kinds:
        return _Progress.STOP
    return _Progress.WAIT if kinds else _Progress.ON


def _learn(undecided: Undecided, transaction: Transaction, outcome: TransactionOutcome) -> _Progress:
    """Learn what became of a transaction; say how to go on."""
    if isinstance(outcome, Committed):
        undecided.committed(transaction.decisions)
        return _Progress.ON
    undecided.decisions.error = outcome.error
    if isinstance(outcome, Failed):
        return _learn_failure(undecided, transaction, outcome)
    undecided.decisions.conflicts += outcome.conflicts
    news = undecided.refused(outcome.refusals)
    if not outcome.refusals and outcome.invalid is not None:
        undecided.decisions.blame(transaction, outcome.invalid)
        news = True
    return _Progress.ON if news and not outcome.busy else _Progress.WAIT


def _learn_failure(undecided: Undecided, transaction: Transaction, failure: Failed) -> _Progress:
    if failure.kind is ErrorKind.INVALID:
        undecided.decisions.blame(transaction, str(failure.error))
        return _Progress.ON
    if failure.kind is ErrorKind.CONFLICT:
        undecided.decisions.conflicts += 1
    return _progress({failure.kind})


# --- reading ---------------------------------------------------------------------------------------------------------


class Readings(NamedTuple):
    """Items that were read: each wanted key is in one of the two."""

    items: Mapping[Key, Item | None]
    """The items by key, None where there is none."""
    failed: Mapping[Key, Failed]


def get_items(client: DynamoDBClient, keys: Sequence[Key], run: Run) -> Readings:
    """Read the items of distinct keys, strongly consistent, a hundred a call, the calls side by side.

    The keys that the service leaves unprocessed are asked for again. One key that DynamoDB does not take fails its
    whole call: it is found by halving, and the others are read.
    """
    by_table: defaultdict[str, list[Key]] = defaultdict(list)
    for key in keys:
        by_table[key.table].append(key)
    parts = [part for of_table in by_table.values() for part in chunks(of_table, READ_LIMIT)]
    return _merged(run.parallel.run([partial(_read, client, part, run) for part in parts]))


def _read(client: DynamoDBClient, keys: Sequence[Key], run: Run) -> Readings:
    like = keys[0]
    items, left, failure = read_batch(client, like.table, [key.tagged() for key in keys], run)
    if failure is not None and failure.kind is ErrorKind.INVALID and len(left) > 1:
        middle = len(keys) // 2
        return _merged([_read(client, keys[:middle], run), _read(client, keys[middle:], run)])
    found = {Key.in_item(item, like): item for item in items}
    unread = dict.fromkeys([Key.in_item(key, like) for key in left], failure or _NOT_IN_TIME)
    return Readings({key: found.get(key) for key in keys if key not in unread}, unread)


_NOT_IN_TIME = Failed(TimeoutError("the items could not be read in time"), ErrorKind.THROTTLE)


def _merged(parts: Sequence[Readings]) -> Readings:
    return Readings(
        {key: item for part in parts for key, item in part.items.items()},
        {key: failure for part in parts for key, failure in part.failed.items()},
    )
