"""A batch before any effect: handlers are called, and the records that have effects are put into lanes, one an item."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tablestream.change import Change, RawRecord, item_key_of, key_hash_of
from tablestream.columns import AT_ONCE, event_ids_of, identities_of
from tablestream.errors import InvalidRecord
from tablestream.events import check
from tablestream.report import Outcome, Verdict
from tablestream.router import Handler, Router
from tablestream.systemic import Suspicion

_NOTHING: frozenset[str] = frozenset()


class Poison(NamedTuple):
    """Why a record can never be processed."""

    reason: str
    error_class: str
    handler: str | None = None
    unexpected: bool = False


class Task:
    """A record that somebody wants, its effects and what became of them.

    One is made for each routed record; without slots, as that takes a third less time.
    """

    poison: Poison | None = None
    outcome: Outcome | None = None
    error: Exception | None = None
    remembered: frozenset[str] | None = _NOTHING
    """What the journal calls the effects that are done already; None when it could not be read."""
    done: frozenset[str] = _NOTHING
    """The journal's names of what this invocation has done for a record that is not applied; see `Waves.done_of`."""

    def __init__(self, record: RawRecord, event_id: str, effects: Sequence[tuple[int, Any]]) -> None:
        self.record = record
        self.event_id = event_id
        self.effects = effects
        """Each with the position of its sink."""

    @property
    def sequence(self) -> int:
        """The sequence number, to be compared; most tasks are never asked for it."""
        return int(self.record["dynamodb"]["SequenceNumber"])

    def fail(self, error: Exception) -> None:
        """Leave the record to redelivery, because of an error."""
        self.outcome = Outcome.FAILED
        self.error = error

    def verdict(self) -> Verdict:
        """Return what became of the record."""
        sequence_number = self.record["dynamodb"]["SequenceNumber"]
        outcome = self.outcome or Outcome.HELD_BACK
        error_class, reason = "", ""
        if outcome is Outcome.POISONED and self.poison:
            error_class, reason = self.poison.error_class, self.poison.reason
        elif self.error is not None:
            error_class, reason = type(self.error).__name__, str(self.error)
        return Verdict(self.event_id, sequence_number, key_hash_of(self.record), outcome, error_class, reason)


class Batch(NamedTuple):
    """The tasks of an invocation: the changes of one item, its lane, in stream order.

    Nearly every lane has one change. Those that have more, only, are made into lists.
    """

    heads: Sequence[Task]
    """The first change of each lane."""
    queues: Sequence[Sequence[Task]]
    """The lanes of several changes, with their heads."""
    skipped: int
    duplicates: int
    sent_by_hand: Sequence[Task]
    """Those that an operator's tool sent, duplicates included."""

    @property
    def tasks(self) -> list[Task]:
        """All of them, the heads first."""
        return [*self.heads, *[task for lane in self.queues for task in lane[1:]]]


def prepare(
    records: Sequence[RawRecord],
    router: Router,
    sink_of: Mapping[type, int],
    suspicion: Suspicion,
    table_name: str | None = None,
) -> Batch:
    """Check the records, call the handlers of each and lay out the lanes.

    `sink_of` maps the class of an effect to its sink. Raises `InvalidEvent` for what is no batch of the table's stream
    (handlers are pure, so it does no harm if some of them were called), `SystemicFailure` when most handlers raised
    unexpectedly.
    """
    draft = _Draft()
    for start in range(0, len(records), AT_ONCE):
        part = records[start : start + AT_ONCE]
        plain = check(part, records, start, table_name)
        draft.add(_tasks_of(part, router, sink_of), records[0] if plain else None)
    _judge(draft.tasks, suspicion)
    heads, queues = _lanes(draft)
    kept = len(heads) + sum([len(lane) - 1 for lane in queues])
    return Batch(heads, queues, len(records) - len(draft.tasks), len(draft.tasks) - kept, draft.sent_by_hand)


class _Draft:
    """What is known of the parts of a batch."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.plain = True
        """Whether all records have plain keys: identities found in different ways cannot be compared."""
        self.identities: list[Hashable] = []
        """One for each task, as long as the keys are plain."""
        self.sent_by_hand: list[Task] = []

    def add(self, tasks: Sequence[Task], like: RawRecord | None) -> None:
        self.tasks += tasks
        self.sent_by_hand += [task for task in tasks if "redriven" in task.record or "replayed" in task.record]
        identities = identities_of([task.record for task in tasks], like) if self.plain and like is not None else None
        self.plain = identities is not None
        self.identities += identities or ()


def _tasks_of(records: Sequence[RawRecord], router: Router, sink_of: Mapping[type, int]) -> list[Task]:
    tasks = []
    for record, event_id in zip(records, event_ids_of(records), strict=True):
        try:
            handlers = router.handlers(record)
        except InvalidRecord as error:
            tasks.append(_poisoned(record, event_id, _poison(error)))
        else:
            if handlers:
                tasks.append(_handled(Change(record, event_id), handlers, sink_of))
    return tasks


Lanes = tuple[list[Task], list[list[Task]]]
"""The first change of each lane, and the lanes of several changes."""


def _lanes(draft: _Draft) -> Lanes:
    if draft.plain:
        with contextlib.suppress(TypeError):  # a key that is no text
            return _grouped(draft.identities, draft.tasks)
    return _grouped(map(_identity, draft.tasks), draft.tasks)


def _grouped(identities: Iterable[Hashable], tasks: Sequence[Task]) -> Lanes:
    heads: dict[Hashable, Task] = {}
    queues: dict[Hashable, list[Task]] = {}
    for identity, task in zip(identities, tasks, strict=True):
        head = heads.setdefault(identity, task)
        if head is not task:
            queues.setdefault(identity, [head]).append(task)
    ordered = {identity: _in_order(lane) for identity, lane in queues.items()}
    heads.update({identity: lane[0] for identity, lane in ordered.items()})
    return list(heads.values()), [lane for lane in ordered.values() if len(lane) > 1]


def _identity(task: Task) -> Hashable:
    try:
        return item_key_of(task.record)
    except InvalidRecord as error:
        if task.poison is None:
            task.poison, task.effects = _poison(error), []
        return task.event_id


def _in_order(lane: Sequence[Task]) -> list[Task]:
    """Sort the changes of an item and drop what stands there twice: a record that does shares a lane with itself."""
    alone = {(task.sequence, task.event_id): task for task in reversed(lane)}
    return [task for _, task in sorted(alone.items(), key=_by_sequence)]


def _by_sequence(entry: tuple[tuple[int, str], Task]) -> int:
    return entry[0][0]


def _handled(change: Change, handlers: Iterable[Handler], sink_of: Mapping[type, int]) -> Task:
    """Call the handlers of a change."""
    effects: list[tuple[int, Any]] = []
    for handler in handlers:
        try:
            result = handler(change)
            index = sink_of.get(type(result))
            if index is not None:
                effects.append((index, result))
            elif result is not None:
                effects += [(sink_of[type(effect)], effect) for effect in result]
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- handlers are pure: what raises once raises on every retry, whatever it is
            return _poisoned(change.record, change.event_id, _poison(error, handler))
    return Task(change.record, change.event_id, effects)


def _poisoned(record: RawRecord, event_id: str, poison: Poison) -> Task:
    task = Task(record, event_id, [])
    task.poison = poison
    return task


def _poison(error: Exception, handler: Handler | None = None) -> Poison:
    name = None if handler is None else _name_of(handler)
    if isinstance(error, InvalidRecord):
        return Poison(str(error), type(error).__name__, name)
    return Poison(_reason_of(error), type(error).__name__, name, unexpected=True)


def _name_of(handler: Handler) -> str:
    return f"{getattr(handler, '__module__', '?')}.{getattr(handler, '__qualname__', repr(handler))}"


def _reason_of(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" ({frame.tb_frame.f_code.co_qualname}, line {frame.tb_lineno})" if frame is not None else ""
    return f"{error}{where}"


def _judge(tasks: Sequence[Task], suspicion: Suspicion) -> None:
    raised = {
        task.event_id: f"{task.poison.error_class} in {task.poison.handler}"
        for task in tasks
        if task.poison is not None and task.poison.unexpected
    }
    if raised or suspicion.lasts:
        suspicion.judge(raised, [task.event_id for task in tasks if task.event_id not in raised])
