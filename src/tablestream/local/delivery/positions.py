"""The checkpoint of a shard: the highest sequence number below which everything is finished.

With several slots records finish out of order; the checkpoint moves only over what is finished without a gap, so that a
restart delivers again rather than loses (rules 4, 7, 9).
"""

from __future__ import annotations

from collections import deque

from tablestream.local.delivery.batch import QueuedRecord
from tablestream.local.delivery.protocol import LambdaRecord


class Checkpoint:
    """Everything offered and not yet below the checkpoint, in stream order. Mutable: it is the shard's bookkeeping."""

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


def _sequence_number(record: LambdaRecord) -> str:
    number = record.get("dynamodb", {}).get("SequenceNumber")
    if not isinstance(number, str) or not number.isdecimal():
        raise ValueError(f"a stream record with SequenceNumber {number!r}; wanted text of digits")
    return number
