"""What is to be sent, and in which order. Pure; holds no payloads, so its memory is small change per record.

Sequence numbers order the changes of one item; across items any order will do, so one order by sequence number serves
all. A record that lies in two objects is sent once.
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

from tablestream.change import RawRecord, creation_of, event_id_of, item_key_of
from tablestream.dead_letters import FIRST_TIME, iso, seconds
from tablestream.errors import InvalidRecord
from tablestream.ops.bucket import FailuresBucket, Stored

DEAD_LETTERS = "dead-letters/"
GIVEN_UP = "aws/lambda/"
PREFIXES = (DEAD_LETTERS, GIVEN_UP)

NONE = "-"
_NAME = re.compile(r"[A-Za-z0-9_.<>-]{1,200}", re.ASCII)
_MAX_DIGITS = 128


class Kind(StrEnum):
    """Who set the records aside."""

    DEAD_LETTER = "dead letter"
    """The worker: one record that it found to be poison."""
    GIVEN_UP = "given up"
    """Lambda: a batch whose retries or age ran out."""


class UnreadableError(Exception):
    """An object is neither a dead letter nor an on-failure object with its records."""


@dataclass(frozen=True, slots=True)
class Parked:
    """Records that were set aside together, and what may be told about them."""

    key: str
    etag: str
    kind: Kind
    reason: str
    """A dead letter's error class, or the condition under which Lambda gave up; no values."""
    handler: str
    time: float | None
    """When it was set aside last, in seconds since the epoch."""
    first_time: float | None
    """When it was set aside for the first time: a redrive may have found it to be poison again since."""
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
        if self.kind is Kind.GIVEN_UP:
            notes["payload"] = {**self.content["payload"], "Records": list(records)}
        return json.dumps({**self.content, **notes}, ensure_ascii=True).encode("ascii")


def read(stored: Stored) -> Parked:
    """Read an object. Raises `UnreadableError`, whose message quotes nothing of it."""
    try:
        content = json.loads(stored.body)
    except (ValueError, RecursionError):
        raise UnreadableError("no JSON") from None
    if not isinstance(content, dict):
        raise UnreadableError(f"wanted a JSON object, got a {type(content).__name__}")
    kind = Kind.GIVEN_UP if "requestContext" in content else Kind.DEAD_LETTER
    context = content if kind is Kind.DEAD_LETTER else content["requestContext"]
    time = seconds(content.get("time" if kind is Kind.DEAD_LETTER else "timestamp"))
    first_time = seconds(content.get("first_time"))
    if not isinstance(context, dict):
        raise UnreadableError("the requestContext is no object")
    return Parked(
        key=stored.key,
        etag=stored.etag,
        kind=kind,
        reason=named(context.get("error_class" if kind is Kind.DEAD_LETTER else "condition")),
        handler=named(content.get("handler")),
        time=time,
        first_time=time if first_time is None else first_time,
        records=_records(content, kind),
        content=content,
    )


def _records(content: Mapping[str, Any], kind: Kind) -> tuple[RawRecord, ...]:
    records: Any
    if kind is Kind.DEAD_LETTER:
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


def created_of(parked: Parked) -> float | None:
    """Return when the oldest of the changes was made, in seconds since the epoch."""
    return min((at for record in parked.records if (at := creation_of(record)) is not None), default=None)


@dataclass(slots=True)
class Unreadable:
    """Objects that are left alone, with the reason. Mutable: gathered while others are read."""

    problems: dict[str, str] = field(default_factory=dict)


def parked_in(bucket: FailuresBucket, unreadable: Unreadable, prefix: str = "") -> Iterator[Parked]:
    """Yield what is set aside, object by object, those below a prefix only."""
    places = [place if place.startswith(prefix) else prefix for place in PREFIXES if _meet(place, prefix)]
    for place in places:
        for stored in bucket.read_all(bucket.keys(place)):
            try:
                yield read(stored)
            except UnreadableError as error:
                unreadable.problems[stored.key] = str(error)


def _meet(place: str, prefix: str) -> bool:
    return place.startswith(prefix) or prefix.startswith(place)


MAX_BYTES = 5_500_000
"""Of one event. Lambda takes 6 MB in a synchronous invocation (Lambda quotas)."""

Place = tuple[str, int]
"""An object's key, and the position of a record in it."""


def marked(record: RawRecord, first_time: float | None) -> RawRecord:
    """Return a record as a redrive sends it: it says so, and when it was set aside for the first time."""
    since = {} if first_time is None else {FIRST_TIME: iso(first_time)}
    return {**record, "redriven": True, **since}


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be sent, without its payload."""

    event_id: str
    sequence: int
    item: bytes
    size: int
    """Bytes of the record as it is sent."""
    places: tuple[Place, ...]
    first_time: float | None
    """When the record was set aside for the first time."""

    @property
    def identity(self) -> Identity:
        """What makes it the same change as another."""
        return self.event_id, self.sequence


@dataclass(slots=True)
class Source:
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
    """Entries in the order in which they are sent, and where they come from."""

    entries: Sequence[Entry]
    sources: dict[str, Source]
    waiting: int = 0
    """Selected records that are left out: an earlier change of their item is set aside as well and not selected."""


class Planner:
    """Gathers what is in the bucket, object by object."""

    def __init__(self, *, out_of_order: bool = False) -> None:
        """With `out_of_order` a record is sent even if an earlier change of its item is left behind."""
        self._out_of_order = out_of_order
        self._found: dict[Identity, Entry] = {}
        self._sources: dict[str, Source] = {}
        self._left_behind: dict[bytes, int] = {}

    def add(self, parked: Parked, *, selected: bool) -> None:
        """Take an object; those that are not selected matter for the order."""
        if not selected:
            self._leave(parked)
            return
        self._sources[parked.key] = _source(parked)
        for position, record in enumerate(parked.records):
            identity = identity_of(record)
            known = self._found.get(identity)
            places = (*(known.places if known else ()), (parked.key, position))
            times = [time for time in (known.first_time if known else None, parked.first_time) if time is not None]
            first_time = min(times, default=None)
            size = len(json.dumps(marked(record, first_time), separators=(",", ":")))
            self._found[identity] = Entry(*identity, item_of(record), size, places, first_time)

    def _leave(self, parked: Parked) -> None:
        if self._out_of_order:
            return
        for record in parked.records:
            item, sequence = item_of(record), identity_of(record)[1]
            self._left_behind[item] = min(sequence, self._left_behind.get(item, sequence))

    def plan(self) -> Plan:
        """Return what to send."""
        entries = sorted(self._found.values(), key=_order)
        ready = [entry for entry in entries if entry.sequence <= self._left_behind.get(entry.item, entry.sequence)]
        if len(ready) < len(entries):
            sent = {entry.identity for entry in ready}
            for entry in entries:
                if entry.identity not in sent:
                    for key, position in entry.places:
                        self._sources[key].waiting.discard(position)
        return Plan(ready, self._sources, len(entries) - len(ready))


def _source(parked: Parked) -> Source:
    total = len(parked.records)
    return Source(parked.key, parked.etag, total, set(range(total)))


def _order(entry: Entry) -> tuple[int, str]:
    return entry.sequence, entry.event_id


def batches(entries: Sequence[Entry], most: int, most_bytes: int = MAX_BYTES) -> Iterator[Sequence[Entry]]:
    """Cut entries into runs of at most `most` records and `most_bytes` bytes; a larger record stands alone."""
    begin = size = 0
    for index, entry in enumerate(entries):
        if index > begin and (index - begin == most or size + entry.size > most_bytes):
            yield entries[begin:index]
            begin, size = index, 0
        size += entry.size + 1
    if begin < len(entries):
        yield entries[begin:]
