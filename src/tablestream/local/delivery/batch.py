"""Records on their way through one shard, and the batches they are gathered into."""

from __future__ import annotations

import json

from tablestream.local.delivery.protocol import LambdaRecord

PAYLOAD_LIMIT = 6 * 1024 * 1024
"""Bytes a synchronous invocation takes (rule 8, D)."""


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
