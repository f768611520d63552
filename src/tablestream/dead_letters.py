"""Dead letters: poison records, stored with their payload and the reason, so that they can be redriven."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from tablestream.change import RawRecord
from tablestream.run import Run
from tablestream.sink import Answer


class DeadLetter(NamedTuple):
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


PREFIX = "dead-letters/"
"""Where they lie in the bucket, beside what Lambda stores there."""
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


def body_of(letter: DeadLetter) -> bytes:
    """Return a letter as JSON, in ASCII: a lone surrogate in the record survives as its escape."""
    fields = letter._asdict()
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
