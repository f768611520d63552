"""What lies in the failures bucket, read: the worker's dead letters, and the batches that Lambda gave up. Pure.

Nothing here that is printed without `--reveal` may carry a value of a record: reasons are classes, never texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tablestream.change import RawRecord, creation_of, event_id_of, item_key_of
from tablestream.dead_letters import seconds
from tablestream.errors import InvalidRecord

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
class Stored:
    """An object of the bucket as it was read."""

    key: str
    etag: str
    body: bytes


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
