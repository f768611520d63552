"""From an event to lanes: records are checked and routed, their handlers called, their changes put in order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tablestream._engine.event import BOTH_IMAGES, check_record, check_table, is_plain
from tablestream.change import (
    Change,
    RawRecord,
    creation_of,
    event_id_of,
    is_replicated,
    item_key_of,
    key_hash_of,
    record_key_of,
)
from tablestream.errors import ConfigurationError, InvalidEvent, InvalidRecord, error_class_of
from tablestream.report import RecordOutcome, RecordState
from tablestream.router import Handler, Route, Router
from tablestream.sink import Effect, Sink, key_of, name_of, never_ran

_NO_NAMES: frozenset[str] = frozenset()


class Poison(NamedTuple):
    """The reason why a record can never be processed."""

    reason: str
    error_class: str
    handler: str | None = None
    """The handler that raised, or the sink that gave up; None when no handler was called."""
    unexpected: bool = False
    """Whether a handler raised something that does not say that the record is bad."""
    error: BaseException | None = None
    """The exception of the handler."""


class Task:
    """A record that somebody wants, its effects in the order in which they are carried out, and how far that has come.

    One is made for each routed record; without slots, as that takes a third less time.
    """

    poison: Poison | None = None
    state: RecordState | None = None
    error: BaseException | None = None
    dead_letter = ""
    """The key of the dead letter, if one is stored."""
    remembered: frozenset[str] | None = _NO_NAMES
    """The names of the effects that the journal knows to be done already; None when it could not be read."""
    known = 0
    """How many effects were passed over because the journal knew them."""
    done = 0
    """How many effects are done, from the first on: nothing is carried out behind one that failed."""

    def __init__(self, record: RawRecord, event_id: str, routes: Sequence[Route], consumer: Consumer) -> None:
        self.record = record
        self.event_id = event_id
        self.routes = routes
        self._consumer = consumer
        self.values: list[Any] = []
        """The values that the handlers returned. An `Effect` refers to its task, so it is made when a sink gets it: kept
        here, the two would be a cycle that only the collector frees, with the whole record."""
        self.sinks: list[int] = []
        """For each value the place of its sink, never smaller than the one before."""

    @property
    def sequence(self) -> int:
        """The sequence number, to be compared; most tasks are never asked for it."""
        return int(self.record["dynamodb"]["SequenceNumber"])

    @property
    def key(self) -> str:
        """The key of the record in the journal: which consumer, which record."""
        return f"{self._consumer.name}/{record_key_of(self.record, self.event_id)}"

    def name_of(self, place: int) -> str:
        """Return the name of an effect among those of this record: sink / key, with a number among equals."""
        sink = self.sinks[place]
        key = key_of(self.values[place])
        first = self.sinks.index(sink)
        equal = sum([key_of(self.values[before]) == key for before in range(first, place)])
        return f"{self._consumer.sinks[sink].name}/{key}{f'~{equal + 1}' if equal else ''}"

    def done_names(self) -> frozenset[str]:
        """Return the names of the effects that are done and must not be repeated."""
        sinks = self._consumer.sinks
        return frozenset([self.name_of(at) for at in range(self.done) if not sinks[self.sinks[at]].idempotent])

    def add(self, sink: int, value: object) -> None:
        """Add an effect behind those of the same and of earlier sinks."""
        sinks = self.sinks
        place = len(sinks)
        while place and sinks[place - 1] > sink:
            place -= 1
        sinks.insert(place, sink)
        self.values.insert(place, value)

    @property
    def item(self) -> str:
        """A hash of the identity of the item."""
        return key_hash_of(self.record)

    @property
    def effects(self) -> list[Effect[Any]]:
        """The effects, as sinks get them."""
        return [self.effect(at) for at in range(len(self.values))]

    def effect(self, place: int) -> Effect[Any]:
        """Return an effect, as its sink gets it."""
        return Effect(self.values[place], self, place)

    def id_of(self, place: int) -> str:
        """Return the id of one of the effects."""
        return f"{self.key}/{self.name_of(place)}"

    def keep(self, places: Iterable[int]) -> None:
        """Drop all effects but those at these places."""
        kept = list(places)
        self.values, self.sinks = [self.values[at] for at in kept], [self.sinks[at] for at in kept]

    def fail(self, error: BaseException) -> None:
        """Leave the record to redelivery, because of an error."""
        self.state = RecordState.FAILED
        self.error = error

    def record_outcome(self) -> RecordOutcome:
        """Return what became of the record."""
        sequence_number = self.record["dynamodb"]["SequenceNumber"]
        state = self.state or RecordState.HELD_BACK
        error_class, reason = "", ""
        if state is RecordState.POISONED and self.poison:
            error_class, reason = self.poison.error_class, self.poison.reason
        elif self.error is not None:
            error_class, reason = error_class_of(self.error), str(self.error)
        return RecordOutcome(
            self.event_id, sequence_number, key_hash_of(self.record), state, error_class, reason, self.dead_letter
        )


class Check(Protocol):
    """Judges the tasks of a batch before any effect."""

    def judge(self, tasks: Sequence[Task]) -> None:
        """Raise `SystemicFailure` when the code seems to be at fault, and not the records."""
        ...


class Lanes(NamedTuple):
    """The tasks of an invocation: the changes of one item are its lane, in stream order.

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


@dataclass(frozen=True, slots=True)
class Consumer:
    """The worker, as far as the records of an event concern it."""

    name: str
    """The name of this consumer of the stream, in effect ids and in the journal."""
    router: Router
    sinks: Sequence[Sink]
    sink_of: Mapping[type, int]
    """For each class of effects the place of its sink."""
    table: str | None = None
    """The name or the ARN of the only table whose records are taken; None for any."""
    bad_record: tuple[type[Exception], ...] = ()
    """The exceptions of handlers that mean a bad record."""
    ignore_before: float | None = None
    """Changes that were made before this time, in seconds since the epoch, are skipped."""
    local_changes_only: bool = False
    """Whether changes that were made in another region of a global table are skipped."""

    def take(self, records: Sequence[Any], systemic: Check) -> Lanes:
        """Check the records of an event, call the handlers of each and lay out the lanes.

        Raises `InvalidEvent` for what is no batch of the table's stream, `ConfigurationError` for an effect that no
        sink takes, `SystemicFailure` when the code seems to be at fault. Handlers are pure: it does no harm if some of
        them were called before.
        """
        tasks: list[Task] = []
        tables: dict[str, str] = {}
        skips = self.local_changes_only or self.ignore_before is not None
        with_images = len(records) < 2  # noqa: PLR2004 -- one record without images is a bad record, several are a wrong stream
        for position, record in enumerate(records):
            if not is_plain(record, tables):
                self._check(record, position, tables)
            if not with_images:
                with_images = "NewImage" in record["dynamodb"] or "OldImage" in record["dynamodb"]
            if not (skips and self._is_skipped(record)):
                task = self._task(record)
                if task is not None:
                    tasks.append(task)
        if not with_images:
            raise InvalidEvent(f"wanted a stream with the StreamViewType {BOTH_IMAGES}, got no images in any record")
        systemic.judge(tasks)
        heads, queues = _lanes(tasks, tables)
        kept = len(heads) + sum([len(lane) - 1 for lane in queues])
        by_hand = [task for task in tasks if "redriven" in task.record or "replayed" in task.record]
        return Lanes(heads, queues, len(records) - len(tasks), len(tasks) - kept, by_hand)

    def _check(self, record: Any, position: int, tables: dict[str, str]) -> None:
        """Look carefully at a record that is not plain, or the first of its stream; remember which table that is of."""
        check_record(record, position)
        arn = check_table(record, self.table)
        source = record.get("eventSourceARN")
        if type(source) is str:
            tables[source] = arn

    def _is_skipped(self, record: RawRecord) -> bool:
        if self.local_changes_only and is_replicated(record):
            return True
        if self.ignore_before is None:
            return False
        created = creation_of(record)
        return created is not None and created < self.ignore_before

    def _task(self, record: RawRecord) -> Task | None:
        """Call the handlers of a record; None when nobody wants it."""
        try:
            routes = self.router.routes(record)
        except InvalidRecord as error:
            return _poisoned(Task(record, event_id_of(record), (), self), error, None)
        if not routes:
            return None
        event_id = event_id_of(record)
        task = Task(record, event_id, routes, self)
        for kind, handlers in routes:
            change = Change(record, event_id, kind)
            for handler in handlers:
                try:
                    result = handler(change)
                    if result is not None:
                        self._add(task, result, handler)
                except (KeyboardInterrupt, MemoryError, ConfigurationError):
                    raise
                except BaseException as error:  # noqa: BLE001 -- handlers are pure: what raises once raises on every retry, whatever it is
                    return _poisoned(task, error, handler, self.bad_record)
        return task

    def _add(self, task: Task, result: Any, handler: Handler) -> None:
        """Add the effect, or the effects, that a handler returned."""
        index = self.sink_of.get(type(result))
        if index is not None:
            task.add(index, result)
            return
        if hasattr(result, "__await__") or hasattr(result, "__aiter__"):
            never_ran(result)
            raise ConfigurationError(
                f"{name_of(handler)} returned a {type(result).__name__}, which never ran; wanted an effect, several, "
                "or None"
            )
        if not _is_several(result):
            raise self._unknown(result, handler)
        for value in result:
            index = self.sink_of.get(type(value))
            if index is None:
                raise self._unknown(value, handler)
            task.add(index, value)

    def _unknown(self, value: object, handler: Handler) -> ConfigurationError:
        known = ", ".join(sorted(effect.__name__ for effect in self.sink_of)) or "none"
        return ConfigurationError(
            f"{name_of(handler)} returned a {type(value).__name__}, which no sink takes; the effects that sinks take "
            f"are: {known}"
        )


def _is_several(value: object) -> bool:
    """Tell whether a handler returned an iterable of effects, and not a value that can be iterated over."""
    single = isinstance(value, str | bytes | Mapping) or (isinstance(value, tuple) and hasattr(value, "_fields"))
    return not single and hasattr(type(value), "__iter__")


def _poisoned(
    task: Task, error: BaseException, handler: Handler | None, bad_record: tuple[type[Exception], ...] = ()
) -> Task:
    name = None if handler is None else name_of(handler)
    task.keep(())
    if isinstance(error, (InvalidRecord, *bad_record)) or _is_validation(error):
        task.poison = Poison(str(error), type(error).__name__, name)
    else:
        task.poison = Poison(_reason_of(error), type(error).__name__, name, unexpected=True, error=error)
    return task


def _is_validation(error: BaseException) -> bool:
    """Tell whether pydantic refused a value; it is asked by name, as it need not be installed."""
    return any(
        kind.__name__ == "ValidationError" and kind.__module__.partition(".")[0] in {"pydantic", "pydantic_core"}
        for kind in type(error).__mro__
    )


def _reason_of(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" ({frame.tb_frame.f_code.co_qualname}, line {frame.tb_lineno})" if frame is not None else ""
    return f"{error}{where}"


def _lanes(tasks: Sequence[Task], tables: Mapping[str, str]) -> tuple[list[Task], list[list[Task]]]:
    """Put the changes of each item into a lane, in stream order, without what stands there twice."""
    heads: dict[Hashable, Task] = {}
    queues: dict[Hashable, list[Task]] = {}
    for task in tasks:
        identity = _identity(task, tables)
        head = heads.setdefault(identity, task)
        if head is not task:
            queues.setdefault(identity, [head]).append(task)
    ordered = {identity: _in_order(lane) for identity, lane in queues.items()}
    heads.update({identity: lane[0] for identity, lane in ordered.items()})
    return list(heads.values()), [lane for lane in ordered.values() if len(lane) > 1]


def _identity(task: Task, tables: Mapping[str, str]) -> Hashable:
    """Return the identity of the item of a record; a record without one is poison, in a lane of its own."""
    record = task.record
    try:
        # A partition and a sort key that are text, as nearly always: in half the time.
        (one, tagged), (two, other) = record["dynamodb"]["Keys"].items()
        if len(tagged) == len(other) == 1:
            text, more = tagged["S"] + "", other["S"] + ""
            arn = tables[record["eventSourceARN"]]
            return (arn, one, text, two, more) if one < two else (arn, two, more, one, text)
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    try:
        return item_key_of(record)
    except InvalidRecord as error:
        if task.poison is None:
            _poisoned(task, error, None)
        return record_key_of(record, task.event_id)


def _in_order(lane: Sequence[Task]) -> list[Task]:
    """Sort the changes of an item and drop what stands there twice: a record that does shares a lane with itself."""
    alone = {(task.sequence, task.event_id): task for task in reversed(lane)}
    return [task for _, task in sorted(alone.items(), key=_by_sequence)]


def _by_sequence(entry: tuple[tuple[int, str], Task]) -> int:
    return entry[0][0]
