"""Records on their way through one shard: held above the checkpoint, buffered, in a batch, in a tumbling window.

`read_outcome` tells which part of a batch an invocation has finished (rules 10 to 13, 15, 18, 33). What counts as
success or as failure of all of it is documented and recorded against AWS, except where a comment says inferred (I).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import (
    Answered,
    FunctionError,
    InvocationOutcome,
    LambdaRecord,
    NotInvoked,
    TimedOut,
    WindowContext,
)

PAYLOAD_LIMIT = 6 * 1024 * 1024
"""Bytes a synchronous invocation takes (rule 8, D)."""

STATE_LIMIT = 1024 * 1024
"""Bytes of state a shard may keep (D)."""


class QueuedRecord:
    """One record that passed the filters, and where it stands.

    A plain class with slots instead of a frozen dataclass: `done` changes, and a simulator makes millions of them.
    `created` is the record's ApproximateCreationDateTime, `offered` when it reached the state machine (unix seconds).
    """

    __slots__ = ("created", "done", "offered", "record", "sequence_number", "size")

    def __init__(self, record: LambdaRecord, sequence_number: str, now: float, *, measured: bool = True) -> None:
        self.record = record
        self.sequence_number = sequence_number
        created = record["dynamodb"].get("ApproximateCreationDateTime")
        self.created: float = created if isinstance(created, int | float) else now
        self.offered = now
        # Only what will be in a payload is measured: it is the most expensive step here.
        self.size = len(json.dumps(record, separators=(",", ":"))) if measured else 0
        self.done = False


class DeliveryBatch:
    """Records that are delivered together, and how that has gone. Mutable for the same reason as QueuedRecord.

    `failures` counts the attempts used up; `throttles` the invocations in a row that did not start.
    """

    __slots__ = (
        "entries",
        "exhausted",
        "failures",
        "first_attempt_at",
        "function_error",
        "invoke_id",
        "is_final",
        "throttles",
    )

    def __init__(self, entries: tuple[QueuedRecord, ...], *, is_final: bool = False) -> None:
        self.entries = entries
        self.is_final = is_final
        self.failures = 0
        self.throttles = 0
        self.first_attempt_at: float | None = None
        self.invoke_id: int | None = None
        self.function_error: str | None = None
        self.exhausted = False

    @property
    def first(self) -> str | None:
        """Sequence number of the first record."""
        return self.entries[0].sequence_number if self.entries else None

    @property
    def last(self) -> str | None:
        """Sequence number of the last record."""
        return self.entries[-1].sequence_number if self.entries else None

    @property
    def oldest(self) -> float | None:
        """Creation time of the oldest record in unix seconds."""
        return min((entry.created for entry in self.entries), default=None)

    def records(self) -> tuple[LambdaRecord, ...]:
        """The raw records, not copied."""
        return tuple(entry.record for entry in self.entries)

    def halves(self) -> tuple[DeliveryBatch, DeliveryBatch]:
        """Two new batches at attempt 0 (rule 19). Which half gets the odd record is not documented: the second (I)."""
        middle = len(self.entries) // 2
        return DeliveryBatch(self.entries[:middle]), DeliveryBatch(self.entries[middle:])

    def take_expired(self, horizon: float) -> tuple[QueuedRecord, ...]:
        """Remove and return the prefix created before `horizon` (rule 22, R)."""
        count = 0
        while count < len(self.entries) and self.entries[count].created < horizon:
            count += 1
        expired, self.entries = self.entries[:count], self.entries[count:]
        return expired


class TumblingWindow:
    """One open tumbling window of one slot: the records that belong together, and their state (rule 33).

    Mutable: its state changes with each answer. Times are unix seconds.

    Documented: windows are bounded by the records' creation times; state is at most 1 MB, else the window ends early;
    at its end the function is invoked once more with isFinalInvokeForWindow. Inferred: windows begin at multiples of
    their length; a record older than the open window belongs to it; the final invocation carries no records; after an
    early end the same period opens with fresh state. A mapping with windows has one slot a shard (rule 1).
    """

    __slots__ = ("end", "ended_early", "start", "state")

    def __init__(self, first_record_at: float, length: float) -> None:
        self.start = first_record_at // length * length
        self.end = self.start + length
        self.state: Mapping[str, Any] = {}
        self.ended_early = False

    def holds(self, created: float) -> bool:
        """Whether a record created at this time belongs to the window."""
        return created < self.end

    def keep(self, state: Mapping[str, Any]) -> None:
        """Take over the state of an answer; one that is too large ends the window."""
        self.state = state
        if len(json.dumps(state, separators=(",", ":"))) > STATE_LIMIT:
            self.ended_early = True

    def context(self, *, is_final: bool) -> WindowContext:
        """The window as the next invocation is told of it."""
        return WindowContext(self.start, self.end, self.state, is_final, is_final and self.ended_early)


class BatchBuffer:
    """The records of one slot that are not in a batch yet. Mutable: a queue.

    A batch goes by batch size, batching window, payload size and window boundaries (rule 8, D).
    """

    __slots__ = ("_bytes", "_settings", "_waiting", "closed")

    def __init__(self, settings: MappingSettings) -> None:
        self._settings = settings
        self._waiting: deque[QueuedRecord] = deque()
        self._bytes = 0
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def head(self) -> QueuedRecord | None:
        """The oldest record."""
        return self._waiting[0] if self._waiting else None

    def add(self, entry: QueuedRecord) -> None:
        """Add the next record of the slot."""
        self._waiting.append(entry)
        self._bytes += entry.size

    def ready_at(self, window: TumblingWindow | None) -> float | None:
        """The time at which a batch can be cut: not after now if it can be already, None if there is nothing.

        That the batching window begins when the oldest record was read, also while the slot was busy, is inferred (I).
        """
        if not self._waiting:
            return None
        if self.closed or self._full() or self._reaches_past(window):
            return self._waiting[0].offered
        return self._waiting[0].offered + self._settings.batching_window

    def cut(self, window: TumblingWindow | None) -> DeliveryBatch:
        """Take the next batch: at most batch size records and 6 MB, within one window."""
        entries: list[QueuedRecord] = []
        size = 0
        while self._waiting and len(entries) < self._settings.batch_size:
            entry = self._waiting[0]
            size += entry.size
            if entries and (size > PAYLOAD_LIMIT or not _within(window, entry)):
                break
            entries.append(self._waiting.popleft())
            self._bytes -= entry.size
        return DeliveryBatch(tuple(entries))

    def _full(self) -> bool:
        return len(self._waiting) >= self._settings.batch_size or self._bytes >= PAYLOAD_LIMIT

    def _reaches_past(self, window: TumblingWindow | None) -> bool:
        """Whether a later window's record is here already: then the open window gets no more."""
        return not _within(window, self._waiting[-1])


class Checkpoint:
    """The highest sequence number of a shard below which everything is finished, and what was offered above it.

    With several slots records finish out of order; it moves only over what is finished without a gap, so that a
    restart delivers again rather than loses (rules 4, 7, 9). Mutable: it is the shard's bookkeeping.
    """

    __slots__ = ("_latest", "_open", "sequence_number", "unfinished", "unfinished_bytes")

    def __init__(self, checkpoint: str | None) -> None:
        self.sequence_number = checkpoint
        self.unfinished = 0
        self.unfinished_bytes = 0
        self._latest = int(checkpoint) if checkpoint is not None else -1
        self._open: deque[QueuedRecord] = deque()

    def enter(self, record: LambdaRecord, now: float, *, passed: bool) -> QueuedRecord:
        """Add the next record of the stream; one that passed no filter is finished at once (rule 9)."""
        sequence_number = _sequence_number(record)
        self._follow(sequence_number)
        entry = QueuedRecord(record, sequence_number, now, measured=passed)
        entry.done = not passed
        self._open.append(entry)
        if passed:
            self.unfinished += 1
            self.unfinished_bytes += entry.size
        return entry

    def finish(self, entries: tuple[QueuedRecord, ...]) -> None:
        """These records need no further delivery."""
        for entry in entries:
            entry.done = True
            self.unfinished_bytes -= entry.size
        self.unfinished -= len(entries)

    def advance(self) -> bool:
        """Move the checkpoint over what is finished; whether it moved."""
        moved = False
        while self._open and self._open[0].done:
            self.sequence_number = self._open.popleft().sequence_number
            moved = True
        return moved

    def _follow(self, sequence_number: str) -> None:
        number = int(sequence_number)
        if number <= self._latest:
            raise ValueError(f"record {sequence_number} offered after {self._latest}; wanted stream order")
        self._latest = number


def _within(window: TumblingWindow | None, entry: QueuedRecord) -> bool:
    return window is None or window.holds(entry.created)


def _sequence_number(record: LambdaRecord) -> str:
    number = record.get("dynamodb", {}).get("SequenceNumber")
    if not isinstance(number, str) or not number.isdecimal():
        raise ValueError(f"a stream record with SequenceNumber {number!r}; wanted text of digits")
    return number


@dataclass(frozen=True, slots=True)
class BatchSucceeded:
    """All of it; `state` is the window's new state, if there is a window."""

    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchFailedFrom:
    """Everything before position `index` in the batch is finished; from there on it is delivered again (rule 13)."""

    index: int
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """The whole batch failed (rule 11). `function_error` as in the on-failure record (rule 24)."""

    reason: str
    function_error: str | None


@dataclass(frozen=True, slots=True)
class BatchNotStarted:
    """Throttled, or failed before the function ran: no attempt used (rule 18)."""

    reason: str


BatchResult = BatchSucceeded | BatchFailedFrom | BatchFailed | BatchNotStarted


class _BadAnswer(Exception):
    """The answer makes the whole batch a failure; the message is the reason."""


def read_outcome(
    outcome: InvocationOutcome, sequence_numbers: Sequence[str], *, report_failures: bool, windowed: bool
) -> BatchResult:
    """Return what came of a batch with these sequence numbers, which are in batch order."""
    match outcome:
        case NotInvoked(reason):
            return BatchNotStarted(reason)
        case FunctionError(kind):
            return BatchFailed(kind, "Unhandled")
        case TimedOut():
            return BatchFailed("TimedOut", "Unhandled")
        case Answered(payload):
            return _read_payload(payload, sequence_numbers, report_failures=report_failures, windowed=windowed)


def _read_payload(
    payload: object, sequence_numbers: Sequence[str], *, report_failures: bool, windowed: bool
) -> BatchResult:
    try:
        state = _state(payload) if windowed else None
        if not report_failures:
            return BatchSucceeded(state)  # rule 12: the list is ignored
        lowest = _lowest_failure(payload, sequence_numbers)
    except _BadAnswer as bad:
        return BatchFailed(str(bad), None)
    return BatchSucceeded(state) if lowest is None else BatchFailedFrom(lowest, state)


def _state(payload: object) -> Mapping[str, Any]:
    """Rule 33 (D): without `state` the invocation failed. That null or another type counts as missing is I."""
    state = payload.get("state") if isinstance(payload, dict) else None
    if not isinstance(state, dict):
        raise _BadAnswer("MissingState")
    return state


def _lowest_failure(payload: object, sequence_numbers: Sequence[str]) -> int | None:
    """Position of the failed record with the lowest sequence number; None if nothing failed."""
    failures = _failures(payload)
    if not failures:
        return None
    positions = {number: index for index, number in enumerate(sequence_numbers)}
    failed = [_position(entry, positions) for entry in failures]
    # Compared as integers (rule 13): as text, "9" would come after "10".
    return min(failed, key=lambda index: int(sequence_numbers[index]))


def _failures(payload: object) -> Sequence[Any]:
    """The list of failures; empty for every form of success (rule 10)."""
    if payload is None or payload in ("", [], {}):
        return ()
    if not isinstance(payload, dict):
        raise _BadAnswer("NotAnObject")  # I: documented for SQS ("an invalid JSON response"), not for streams
    failures = payload.get("batchItemFailures")
    if failures is None:
        return ()
    if not isinstance(failures, list):
        raise _BadAnswer("NotAList")  # I
    return failures


def _position(entry: object, positions: Mapping[str, int]) -> int:
    """Rule 11 (R): empty, null, under a wrong key or not in the batch: the whole batch failed."""
    identifier = entry.get("itemIdentifier") if isinstance(entry, dict) else None
    if not isinstance(identifier, str) or identifier not in positions:
        raise _BadAnswer("InvalidItemIdentifier")
    return positions[identifier]
