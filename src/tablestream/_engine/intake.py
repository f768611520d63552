"""From an event to lanes: records are checked and routed, their handlers called, their changes put in order."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tablestream._engine.waves import Poison, Task
from tablestream.change import (
    Change,
    RawRecord,
    creation_of,
    event_id_of,
    is_replicated,
    item_key_of,
    table_arn_of,
)
from tablestream.errors import (
    ConfigurationError,
    InvalidEvent,
    InvalidRecord,
    MissingAttribute,
    place_of,
)
from tablestream.router import Handler, Router
from tablestream.sink import Sink, name_of, never_ran

_WANTED = (
    "wanted an event of a DynamoDB stream trigger, {'Records': [{'eventSource': 'aws:dynamodb', 'dynamodb': {…}}, …]}"
)
_MAX_SEQUENCE_NUMBER = 128
"""The service model allows 40 digits; whatever is longer than this is not a sequence number."""

# Patterns for errors only, so they are compiled when one is raised, and not at each start.
_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_SERVICE = r"aws:[A-Za-z0-9_.-]{1,64}"
_TABLE_ARN = r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]+:table/[A-Za-z0-9_.-]{1,255}"
_BOTH_IMAGES = "NEW_AND_OLD_IMAGES"
_LESSER_VIEWS = frozenset({"KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"})


def records_of(event: object) -> list[Any]:
    """Return the records of a Lambda event, which are still to be checked; raises `InvalidEvent` when it has none."""
    if not isinstance(event, dict):
        raise InvalidEvent(f"{_WANTED}; got a {type(event).__name__}")
    records = event.get("Records")
    if not isinstance(records, list):
        names = ", ".join(sorted(name for name in map(str, event) if re.fullmatch(_NAME, name, re.ASCII))[:10])
        got = "no Records" if records is None else f"Records of type {type(records).__name__}"
        raise InvalidEvent(f"{_WANTED}; got {got} in an event with the keys: {names or 'none'}")
    return records


class HandlerCheck(Protocol):
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
    tasks: Sequence[Task]
    """All of them, the heads first."""
    skipped: int
    duplicates: int
    sent_by_hand: Sequence[Task]
    """Those that an operator's tool sent, duplicates included."""


class Consumer(NamedTuple):
    """The worker, as far as the records of an event concern it."""

    name: str
    """The name of this consumer of the stream, in effect ids and in the journal."""
    router: Router
    sinks: Sequence[Sink]
    sink_of: Mapping[type, int]
    """For each class of effects the place of its sink."""
    table: str | None = None
    """The name or the ARN of the only table whose records are taken; None for any."""
    unset: str = ""
    """The variable that could have named the table, where it is not set."""
    bad_record: tuple[type[Exception], ...] = ()
    """The exceptions of handlers that mean a bad record."""
    ignore_before: float | None = None
    """Changes that were made before this time, in seconds since the epoch, are skipped."""
    local_changes_only: bool = False
    """Whether changes that were made in another region of a global table are skipped."""

    def take(self, records: Sequence[Any], systemic: HandlerCheck) -> Lanes:
        """Check the records of an event, call the handlers of each and lay out the lanes.

        Raises `InvalidEvent` for what is no batch of the table's stream, `ConfigurationError` for an effect that no
        sink takes, `SystemicFailure` when the code seems to be at fault. Handlers are pure: it does no harm if some of
        them were called before.
        """
        tasks: list[Task] = []
        heads: dict[Hashable, Task] = {}
        queues: dict[Hashable, list[Task]] = {}
        sent_by_hand: list[Task] = []
        source, table = object(), ""
        skips = self.local_changes_only or self.ignore_before is not None
        with_images = len(records) == 1  # one record without images is a bad record, several are a wrong stream
        for position, record in enumerate(records):
            if not _is_plain(record, source):
                _check_record(record, position)
                source, table = record.get("eventSourceARN"), _check_table(record, self.table, self.unset)
            if not with_images:
                with_images = "NewImage" in record["dynamodb"] or "OldImage" in record["dynamodb"]
            task = None if skips and self._is_skipped(record) else self._task(record)
            if task is None:
                continue
            # All that is read of a record is read here, while it is near: later it takes twice as long.
            tasks.append(task)
            identity = _identity(task, table)
            head = heads.setdefault(identity, task)
            if head is not task:
                queues.setdefault(identity, [head]).append(task)
            if "redriven" in record or "replayed" in record:
                sent_by_hand.append(task)
        if records and not with_images:
            raise InvalidEvent(f"wanted a stream with the StreamViewType {_BOTH_IMAGES}, got no images in any record")
        systemic.judge(tasks)
        for task in tasks:
            if task.poison is not None:
                task.poison = task.poison.judged()
        ordered = {identity: _in_order(lane) for identity, lane in queues.items()}
        heads.update({identity: lane[0] for identity, lane in ordered.items()})
        duplicates = sum([len(queues[identity]) - len(lane) for identity, lane in ordered.items()])
        lanes = [lane for lane in ordered.values() if len(lane) > 1]
        first = list(heads.values())
        return Lanes(
            heads=first,
            queues=lanes,
            tasks=[*first, *[task for lane in lanes for task in lane[1:]]],
            skipped=len(records) - len(tasks),
            duplicates=duplicates,
            sent_by_hand=sent_by_hand,
        )

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
        if type(result) is not list and type(result) is not tuple:
            self._check_result(result, handler)
        for value in result:
            index = self.sink_of.get(type(value))
            if index is None:
                raise self._unknown(value, handler)
            task.add(index, value)

    def _check_result(self, result: Any, handler: Handler) -> None:
        """Raise `ConfigurationError` for what a handler returned, if it is not several effects."""
        if hasattr(result, "__await__") or hasattr(result, "__aiter__"):
            never_ran(result)
            raise ConfigurationError(
                f"{name_of(handler)} returned a {type(result).__name__}, which never ran; wanted an effect, several, "
                "or None"
            )
        if not _is_several(result):
            raise self._unknown(result, handler)

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
    if isinstance(error, MissingAttribute) and name is not None and not isinstance(error, bad_record):
        task.poison = Poison(str(error), type(error).__name__, name, suspicious=True, where=place_of(error))
    elif is_bad_record(error, bad_record):
        task.poison = Poison(str(error), type(error).__name__, name)
    else:
        where = place_of(error)
        reason = f"{error} ({where})" if where else str(error)
        task.poison = Poison(
            reason, type(error).__name__, name, unexpected=True, suspicious=True, error=error, where=where
        )
    return task


def is_bad_record(error: BaseException, named: tuple[type[Exception], ...] = ()) -> bool:
    """Tell whether an exception says that a record can never be processed: ours, pydantic's, or one that is named."""
    return isinstance(error, (InvalidRecord, *named)) or _is_validation(error)


def _is_validation(error: BaseException) -> bool:
    """Tell whether pydantic refused a value; it is asked by name, as it need not be installed."""
    return any(
        kind.__name__ == "ValidationError" and kind.__module__.partition(".")[0] in {"pydantic", "pydantic_core"}
        for kind in type(error).__mro__
    )


def _is_plain(record: Any, source: object) -> bool:
    """Tell whether a record is as AWS sends them, and of this stream; any other is looked at closely."""
    try:
        stream = record["dynamodb"]
        number = stream["SequenceNumber"]
        plain: bool = (
            record["eventSourceARN"] == source
            and record["eventSource"] == "aws:dynamodb"
            and stream["StreamViewType"] == _BOTH_IMAGES
            and number.isascii()
            and len(number) <= _MAX_SEQUENCE_NUMBER
            and number.encode().isdigit()  # digit by digit, text takes twice as long
        )
    except (AttributeError, KeyError, TypeError):
        return False
    return plain


def _check_record(record: Any, position: int) -> None:
    """Raise `InvalidEvent` for what is no record of a table's stream with both images."""
    if type(record) is not dict:
        raise InvalidEvent(f"{_WANTED}; record {position} is a {type(record).__name__}")
    source = record.get("eventSource", record.get("EventSource", "aws:dynamodb"))
    if source != "aws:dynamodb":
        raise InvalidEvent(f"{_WANTED}; record {position} comes from {_shown(source, _SERVICE)}")
    stream = record.get("dynamodb")
    if type(stream) is not dict:
        raise InvalidEvent(f"{_WANTED}; record {position} has no dynamodb object")
    number = stream.get("SequenceNumber")
    if type(number) is not str or not number.isdigit() or not number.isascii() or len(number) > _MAX_SEQUENCE_NUMBER:
        raise InvalidEvent(
            f"wanted a SequenceNumber of digits in record {position}, got a {type(number).__name__} that is none"
        )
    view = stream.get("StreamViewType")
    if type(view) is str and view in _LESSER_VIEWS:
        raise InvalidEvent(f"wanted a stream with the StreamViewType {_BOTH_IMAGES}, got {view}")


def _shown(value: object, wanted: str) -> str:
    """Name what came only when it looks like what it should be: these errors are logged, and it could be anything."""
    return (
        value
        if isinstance(value, str) and re.fullmatch(wanted, value, re.ASCII)
        else f"a {type(value).__name__} that names none"
    )


def _check_table(record: Mapping[str, Any], wanted: str | None, unset: str) -> str:
    """Return the ARN of a record's table; raises `InvalidEvent` when another one is wanted, by its name or its ARN."""
    arn = table_arn_of(record)
    if wanted is not None and wanted not in (arn, arn.rpartition(":table/")[2]):
        why = f"; {unset} is not set, so the table's name is taken to be {wanted}" if unset else ""
        raise InvalidEvent(f"wanted records of the table {wanted}, got {_shown(arn, _TABLE_ARN)}{why}")
    return arn


def _identity(task: Task, table: str) -> Hashable:
    """Return the identity of the item of a record; a record without one is poison, in a lane of its own."""
    record = task.record
    try:
        # A partition and a sort key that are text, as nearly always: in half the time.
        (one, tagged), (two, other) = record["dynamodb"]["Keys"].items()
        if len(tagged) == len(other) == 1:
            text, more = tagged["S"] + "", other["S"] + ""
            return (table, one, text, two, more) if one < two else (table, two, more, one, text)
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    try:
        return item_key_of(record)
    except InvalidRecord as error:
        if task.poison is None:
            _poisoned(task, error, None)
        return task.key


def _in_order(lane: Sequence[Task]) -> list[Task]:
    """Sort the changes of an item and drop what stands there twice: a record that does shares a lane with itself."""
    alone = {(task.sequence, task.event_id): task for task in reversed(lane)}
    return [task for _, task in sorted(alone.items(), key=_by_sequence)]


def _by_sequence(entry: tuple[tuple[int, str], Task]) -> int:
    return entry[0][0]


class Consequences(NamedTuple):
    """The answer of a worker's handlers to one record: nothing of it is carried out."""

    key: str
    """The key of the record in the journal; empty for a record that no handler wants."""
    effects: tuple[tuple[str, object], ...] = ()
    """Each effect behind the name that the journal has for it: sink / key."""
    problem: str = ""
    """The reason why the record can never be processed, with the handler that found it."""


class _Unjudged:
    def judge(self, tasks: Sequence[Task]) -> None:
        """Take whatever a handler has raised for what is wrong with the record."""


def consequences_of(consumer: Consumer, record: RawRecord) -> Consequences:
    """Call the handlers for one record, of whatever table. Raises what `Consumer.take` raises."""
    tasks = consumer._replace(table=None).take([record], _Unjudged()).tasks
    if not tasks:
        return Consequences("")
    (task,) = tasks
    if (poison := task.poison) is not None:
        where = poison.handler or "before any handler"
        return Consequences(task.key, problem=f"{poison.error_class} ({where}): {poison.reason}")
    return Consequences(task.key, tuple((task.name_of(place), value) for place, value in enumerate(task.values)))
