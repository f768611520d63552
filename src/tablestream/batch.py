"""A batch before any effect: handlers are called, and the records that have effects are put into lanes, one an item."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tablestream.change import Change, RawRecord, event_id_of, item_keys_of, key_hash_of
from tablestream.errors import InvalidRecord
from tablestream.report import Outcome, Verdict
from tablestream.router import Handler, Router
from tablestream.systemic import Suspicion

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Poison:
    """Why a record can never be processed."""

    reason: str
    error_class: str
    handler: str | None = None
    unexpected: bool = False


class Task:
    """A record that somebody wants, its effects and what became of them. Plain slots: one is made a routed record."""

    __slots__ = ("done", "effects", "error", "event_id", "outcome", "poison", "record", "remembered")

    def __init__(
        self, record: RawRecord, event_id: str, effects: list[tuple[int, Any]], poison: Poison | None = None
    ) -> None:
        self.record = record
        self.event_id = event_id
        self.effects = effects
        self.poison = poison
        self.outcome: Outcome | None = None
        self.error: Exception | None = None
        self.remembered: frozenset[str] | None = _NOTHING
        self.done: set[str] | None = None

    @property
    def sequence(self) -> int:
        """The sequence number, to be compared; most tasks are never asked for it."""
        return int(self.record["dynamodb"]["SequenceNumber"])

    def fail(self, error: Exception) -> None:
        """Leave the record to redelivery, because of an error."""
        self.outcome = Outcome.FAILED
        self.error = error

    def mark_done(self, effect: str) -> None:
        """Remember an effect that is done and not idempotent."""
        if self.done is None:
            self.done = set()
        self.done.add(effect)

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


@dataclass(frozen=True, slots=True)
class Batch:
    """The tasks of an invocation in lanes: the changes of one item, in stream order."""

    lanes: Sequence[Sequence[Task]]
    skipped: int
    duplicates: int


def prepare(records: Sequence[RawRecord], router: Router, sink_of: Mapping[type, int], suspicion: Suspicion) -> Batch:
    """Call the handlers of every record and lay out the lanes.

    `sink_of` maps the class of an effect to its sink. Raises `SystemicFailure` when most handlers raised unexpectedly.
    """
    key_of = item_keys_of(records)
    lanes: dict[Hashable, list[Task]] = {}
    taken = 0
    for record in records:
        task = _task_of(record, router, sink_of)
        if task is not None:
            taken += 1
            lanes.setdefault(_lane_of(task, key_of), []).append(task)
    ordered = [lane if len(lane) == 1 else _in_order(lane) for lane in lanes.values()]
    _judge(ordered, suspicion)
    return Batch(ordered, len(records) - taken, taken - sum(map(len, ordered)))


def _in_order(lane: Sequence[Task]) -> list[Task]:
    """Sort the changes of an item and drop what stands there twice: a record that does shares a lane with itself."""
    alone = {(task.sequence, task.event_id): task for task in reversed(lane)}
    return [task for _, task in sorted(alone.items(), key=_by_sequence)]


def _by_sequence(entry: tuple[tuple[int, str], Task]) -> int:
    return entry[0][0]


def _lane_of(task: Task, key_of: Callable[[RawRecord], Hashable]) -> Hashable:
    try:
        return key_of(task.record)
    except InvalidRecord as error:
        if task.poison is None:
            task.poison, task.effects = Poison(str(error), type(error).__name__), []
        return task.event_id


def _task_of(record: RawRecord, router: Router, sink_of: Mapping[type, int]) -> Task | None:
    try:
        handlers = router.handlers(record)
        if not handlers:
            return None
        change = Change.from_record(record)
    except InvalidRecord as error:
        return Task(record, event_id_of(record), [], Poison(str(error), type(error).__name__))
    except RecursionError:
        # Comparing images that are nested deeper than DynamoDB allows; raised anywhere else it would stop the shard.
        poison = Poison("nested too deeply to be compared", InvalidRecord.__name__)
        return Task(record, event_id_of(record), [], poison)
    effects: list[tuple[int, Any]] = []
    for handler in handlers:
        found = _call(handler, change, sink_of, effects)
        if found is not None:
            return Task(record, change.event_id, [], found)
    return Task(record, change.event_id, effects)


def _call(
    handler: Handler, change: Change, sink_of: Mapping[type, int], effects: list[tuple[int, Any]]
) -> Poison | None:
    """Add the effects of a handler; return why the record is poison, if it is."""
    try:
        result = handler(change)
        if result is None:
            return None
        index = sink_of.get(type(result))
        if index is not None:
            effects.append((index, result))
        else:
            effects += [(sink_of[type(effect)], effect) for effect in result]
    except InvalidRecord as error:
        return Poison(str(error), type(error).__name__, _name_of(handler))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 -- handlers are pure: what raises once raises on every retry, whatever it is
        return Poison(_reason_of(error), type(error).__name__, _name_of(handler), unexpected=True)
    return None


def _name_of(handler: Handler) -> str:
    return f"{getattr(handler, '__module__', '?')}.{getattr(handler, '__qualname__', repr(handler))}"


def _reason_of(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" ({frame.tb_frame.f_code.co_qualname}, line {frame.tb_lineno})" if frame is not None else ""
    return f"{error}{where}"


def _judge(lanes: Sequence[Sequence[Task]], suspicion: Suspicion) -> None:
    tasks = [task for lane in lanes for task in lane]
    raised = {
        task.event_id: f"{task.poison.error_class} in {task.poison.handler}"
        for task in tasks
        if task.poison is not None and task.poison.unexpected
    }
    if raised or suspicion.lasts:
        suspicion.judge(raised, [task.event_id for task in tasks if task.event_id not in raised])
