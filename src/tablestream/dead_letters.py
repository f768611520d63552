"""Dead letters: poison records, stored with their payload and the reason, so that they can be redriven."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tablestream.batches import UnreadableAnswerError
from tablestream.change import RawRecord, creation_of
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that can never be processed, and why."""

    record: RawRecord
    event_id: str
    sequence_number: str
    reason: str
    """What came and what was wanted; may quote values of the record."""
    error_class: str
    handler: str | None
    """The handler that raised, or the sink that gave up; None when the record was malformed before any handler."""
    time: float
    """Seconds since the epoch."""
    worker_version: str


FIRST_TIME = "firstTime"
"""The mark of a redriven record that tells when it was set aside for the first time, in ISO 8601."""


class DeadLetters(Protocol):
    """Stores dead letters."""

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        """Store each letter; return one answer for each, in order. Storing a letter again replaces it."""
        ...

    def key(self, letter: DeadLetter) -> str:
        """Return the name under which a letter is stored."""
        ...


class S3DeadLetters:
    """One JSON object a record, `dead-letters/YYYY/MM/DD/<eventID>-<sequence number>.json`.

    The day is that of the change, so that a letter stored again on redelivery replaces the first; where the record
    does not tell it, the day of storing.
    """

    def __init__(self, client: S3Client, bucket: str, *, prefix: str = "dead-letters/") -> None:
        """Take a boto3 S3 client and the bucket's name."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        """Put one object a letter; a put that fails, or is answered by something that is not S3, is transient."""
        return run.parallel.run([partial(self._store_one, letter, run) for letter in letters])

    def _store_one(self, letter: DeadLetter, run: Run) -> Answer:
        if run.deadline.expired:
            return Transient(TimeoutError("the deadline came before this dead letter was stored"))
        try:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self.key(letter), Body=body_of(letter), ContentType="application/json"
            )
            if not answer.get("ETag"):
                return Transient(
                    UnreadableAnswerError("wanted S3's ETag of the dead letter, got an answer without one")
                )
        except Exception as error:  # noqa: BLE001 -- a letter that cannot be written as JSON must not hold up the others
            return Transient(error)
        return DONE

    def key(self, letter: DeadLetter) -> str:
        """Return the key of a letter's object."""
        day = datetime.fromtimestamp(creation_of(letter.record) or letter.time, UTC)
        return f"{self._prefix}{day:%Y/%m/%d}/{letter.event_id}-{letter.sequence_number}.json"


def body_of(letter: DeadLetter) -> bytes:
    """Return a letter as JSON, in ASCII: a lone surrogate in the record survives as its escape."""
    fields: dict[str, Any] = {field.name: getattr(letter, field.name) for field in dataclasses.fields(letter)}
    fields["time"] = iso(letter.time)
    fields["first_time"] = iso(_first_time(letter))
    return json.dumps(fields, ensure_ascii=True).encode("ascii")


def _first_time(letter: DeadLetter) -> float:
    """Return when the record was set aside for the first time, as a redriven one tells, in seconds since the epoch."""
    told = seconds(letter.record.get(FIRST_TIME))
    return told if told is not None and 0 <= told <= letter.time else letter.time


def iso(time: float) -> str:
    """Return seconds since the epoch in ISO 8601, UTC, with milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def seconds(value: object) -> float | None:
    """Return an ISO 8601 time, UTC unless it says otherwise, in seconds since the epoch; None where it is none."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if time is None else (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
