"""The plan of a redrive: objects of the failures bucket, and their records in the order in which they are sent.

A plan holds no payloads, so its memory is small change per record. Sequence numbers order the changes of one item;
across items any order will do, so one order by sequence number serves all. A record that lies in two objects is sent
once. Nothing here that is printed without `--reveal` may carry a value of a record: reasons are classes, never texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tablestream import dead_letters
from tablestream.change import RawRecord, creation_of, event_id_of, item_key_of
from tablestream.dead_letters import FIRST_TIME, iso, seconds
from tablestream.errors import InvalidRecord
from tablestream.ops.bucket import FailuresBucket, Stored

ON_FAILURE_RECORDS = "aws/lambda/"
PREFIXES = (dead_letters.PREFIX, ON_FAILURE_RECORDS)

NONE = "-"
_NAME = re.compile(r"[A-Za-z0-9_.<>-]{1,200}", re.ASCII)
_MAX_DIGITS = 128


class FailureKind(StrEnum):
    """A dead letter of the worker's, or an on-failure record of Lambda's."""

    DEAD_LETTER = "dead letter"
    """One record that the worker found to be poison."""
    ON_FAILURE_RECORD = "on-failure record"
    """A batch whose retries or age ran out."""


class UnreadableError(Exception):
    """An object is neither a dead letter nor an on-failure record with its records."""


@dataclass(frozen=True, slots=True)
class FailureObject:
    """An object of the failures bucket: records that failed together, and what may be told about them."""

    key: str
    etag: str
    kind: FailureKind
    reason: str
    """A dead letter's error class, or the condition of an on-failure record; no values."""
    handler: str
    time: float | None
    """When it was stored last, in seconds since the epoch."""
    first_time: float | None
    """When it was stored for the first time: a redrive may have found it to be poison again since."""
    records: tuple[RawRecord, ...]
    content: Mapping[str, Any]
    """The whole object."""

    @property
    def entities(self) -> Counter[str]:
        """Return how many records there are of each entity type."""
        return Counter(map(entity_of, self.records))

    @property
    def last_redrive(self) -> str:
        """The error class of the last redrive that failed; "-" when there was none."""
        note = self.content.get("redrive")
        return named(note.get("error")) if isinstance(note, dict) else NONE

    def with_records(self, records: Sequence[RawRecord], **notes: object) -> bytes:
        """Return an object like this one that holds other records, as JSON."""
        if self.kind is FailureKind.ON_FAILURE_RECORD:
            notes["payload"] = {**self.content["payload"], "Records": list(records)}
        return json.dumps({**self.content, **notes}, ensure_ascii=True).encode("ascii")


def read_failure(stored: Stored) -> FailureObject:
    """Read an object. Raises `UnreadableError`, whose message quotes nothing of it."""
    try:
        content = json.loads(stored.body)
    except (ValueError, RecursionError):
        raise UnreadableError("no JSON") from None
    if not isinstance(content, dict):
        raise UnreadableError(f"wanted a JSON object, got a {type(content).__name__}")
    kind = FailureKind.ON_FAILURE_RECORD if "requestContext" in content else FailureKind.DEAD_LETTER
    context = content if kind is FailureKind.DEAD_LETTER else content["requestContext"]
    time = seconds(content.get("time" if kind is FailureKind.DEAD_LETTER else "timestamp"))
    first_time = seconds(content.get("first_time"))
    if not isinstance(context, dict):
        raise UnreadableError("the requestContext is no object")
    return FailureObject(
        key=stored.key,
        etag=stored.etag,
        kind=kind,
        reason=named(context.get("error_class" if kind is FailureKind.DEAD_LETTER else "condition")),
        handler=named(content.get("handler")),
        time=time,
        first_time=time if first_time is None else first_time,
        records=_records(content, kind),
        content=content,
    )


def _records(content: Mapping[str, Any], kind: FailureKind) -> tuple[RawRecord, ...]:
    records: Any
    if kind is FailureKind.DEAD_LETTER:
        records = [content.get("record")]
    else:
        payload = content.get("payload")
        records = payload.get("Records") if isinstance(payload, dict) else None
    if not isinstance(records, list) or not records:
        raise UnreadableError("it holds no records")
    if not all(_is_record(record) for record in records):
        raise UnreadableError("what it holds are no records of a DynamoDB stream")
    return tuple(records)


def _is_record(record: object) -> bool:
    stream = record.get("dynamodb") if isinstance(record, dict) else None
    number = stream.get("SequenceNumber") if isinstance(stream, dict) else None
    return isinstance(number, str) and number.isdigit() and number.isascii() and len(number) <= _MAX_DIGITS


def entity_of(record: RawRecord) -> str:
    """Return the entity type of a record's item; "-" where there is none that could be one."""
    stream = record["dynamodb"]
    for side in ("NewImage", "OldImage"):
        image = stream.get(side)
        tagged = image.get("entityType") if isinstance(image, dict) else None
        if isinstance(tagged, dict):
            return named(tagged.get("S"))
    return NONE


def named(value: object) -> str:
    """Return what looks like the name of a class, handler or entity, "-" for anything else: it could be a value."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else NONE


Identity = tuple[str, int]


def identity_of(record: RawRecord) -> Identity:
    """Return what makes two stored records the same change, as the worker tells duplicates."""
    return event_id_of(record), int(record["dynamodb"]["SequenceNumber"])


def item_of(record: RawRecord) -> bytes:
    """Return a digest of the identity of the record's item: records of one item keep their order."""
    try:
        identity: object = item_key_of(record)
    except InvalidRecord:
        identity = identity_of(record)
    return hashlib.sha256(repr(identity).encode(errors="backslashreplace")).digest()[:16]


def created_of(failure: FailureObject) -> float | None:
    """Return when the oldest of the changes was made, in seconds since the epoch."""
    return min((at for record in failure.records if (at := creation_of(record)) is not None), default=None)


@dataclass(slots=True)
class UnreadableObjects:
    """Objects that are left alone, with the reason. Mutable: gathered while others are read."""

    problems: dict[str, str] = field(default_factory=dict)


def failure_objects(bucket: FailuresBucket, unreadable: UnreadableObjects, prefix: str = "") -> Iterator[FailureObject]:
    """Yield the objects of the failures bucket, those below a prefix only."""
    places = [place if place.startswith(prefix) else prefix for place in PREFIXES if _meet(place, prefix)]
    for place in places:
        for stored in bucket.read_all(bucket.keys(place)):
            try:
                yield read_failure(stored)
            except UnreadableError as error:
                unreadable.problems[stored.key] = str(error)


def _meet(place: str, prefix: str) -> bool:
    return place.startswith(prefix) or prefix.startswith(place)


MAX_BYTES = 5_500_000
"""Of one event. Lambda takes 6 MB in a synchronous invocation (Lambda quotas)."""

Place = tuple[str, int]
"""An object's key, and the position of a record in it."""


def marked(record: RawRecord, first_time: float | None) -> RawRecord:
    """Return a record as a redrive sends it: it says so, and when it was stored for the first time."""
    since = {} if first_time is None else {FIRST_TIME: iso(first_time)}
    return {**record, "redriven": True, **since}


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """A record to be sent, without its payload."""

    event_id: str
    sequence: int
    item: bytes
    size: int
    """Bytes of the record as it is sent."""
    places: tuple[Place, ...]
    first_time: float | None
    """When the record was stored for the first time."""

    @property
    def identity(self) -> Identity:
        """The event id and the sequence number: the same change has the same."""
        return self.event_id, self.sequence


@dataclass(slots=True)
class PlannedObject:
    """An object whose records are to be sent, and what is known to have become of each, by position."""

    key: str
    etag: str
    total: int
    waiting: set[int]
    """Positions that are yet to be sent."""
    settled: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Error class and detail."""
    closed: bool = False
    """Whether the object has been brought up to date."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Records in the order in which they are sent, and the objects that they come from, by key."""

    records: Sequence[PlannedRecord]
    objects: dict[str, PlannedObject]
    waiting: int = 0
    """Selected records that are left out: an earlier change of their item is in the bucket as well and not selected."""


class Planner:
    """Gathers what is in the bucket, object by object."""

    def __init__(self, *, out_of_order: bool = False) -> None:
        """With `out_of_order` a record is sent even if an earlier change of its item is left behind."""
        self._out_of_order = out_of_order
        self._found: dict[Identity, PlannedRecord] = {}
        self._objects: dict[str, PlannedObject] = {}
        self._left_behind: dict[bytes, int] = {}

    def add(self, failure: FailureObject, *, selected: bool) -> None:
        """Take an object; those that are not selected matter for the order."""
        if not selected:
            self._leave(failure)
            return
        self._objects[failure.key] = _planned(failure)
        for position, record in enumerate(failure.records):
            identity = identity_of(record)
            known = self._found.get(identity)
            places = (*(known.places if known else ()), (failure.key, position))
            times = [time for time in (known.first_time if known else None, failure.first_time) if time is not None]
            first_time = min(times, default=None)
            size = len(json.dumps(marked(record, first_time), separators=(",", ":")))
            self._found[identity] = PlannedRecord(*identity, item_of(record), size, places, first_time)

    def _leave(self, failure: FailureObject) -> None:
        if self._out_of_order:
            return
        for record in failure.records:
            item, sequence = item_of(record), identity_of(record)[1]
            self._left_behind[item] = min(sequence, self._left_behind.get(item, sequence))

    def plan(self) -> Plan:
        """Return what to send."""
        found = sorted(self._found.values(), key=_order)
        ready = [one for one in found if one.sequence <= self._left_behind.get(one.item, one.sequence)]
        if len(ready) < len(found):
            sent = {one.identity for one in ready}
            for one in found:
                if one.identity not in sent:
                    for key, position in one.places:
                        self._objects[key].waiting.discard(position)
        return Plan(ready, self._objects, len(found) - len(ready))


def _planned(failure: FailureObject) -> PlannedObject:
    total = len(failure.records)
    return PlannedObject(failure.key, failure.etag, total, set(range(total)))


def _order(record: PlannedRecord) -> tuple[int, str]:
    return record.sequence, record.event_id


def batches(
    records: Sequence[PlannedRecord], most: int, most_bytes: int = MAX_BYTES
) -> Iterator[Sequence[PlannedRecord]]:
    """Cut records into runs of at most `most` and of `most_bytes` bytes; a larger record stands alone."""
    begin = size = 0
    for index, record in enumerate(records):
        if index > begin and (index - begin == most or size + record.size > most_bytes):
            yield records[begin:index]
            begin, size = index, 0
        size += record.size + 1
    if begin < len(records):
        yield records[begin:]
