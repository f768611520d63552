"""How long it takes from a write to the table to the start of the handler."""

from __future__ import annotations

from collections import deque
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.actions import Record
    from local.observations import Ended

REMEMBERED = 10_000  # records
FEWEST_FOR_TAIL = 20


class Latency:
    """Collects one sample per record, of its first delivery. Mutable: it is a measurement.

    The time of the write is the record's ApproximateCreationDateTime. Where that has no fraction of a second (DynamoDB
    Local tells the minute) nothing is measured.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._delivered: dict[tuple[str, str, int], int] = {}
        self._coarse = False

    def add(self, ended: Ended) -> float | None:
        """Take an invocation; returns the longest of its new samples in seconds, if it has any."""
        began = ended.invocation.began
        if began is None:
            return None
        lane = (ended.mapping, ended.invoke.shard_id, ended.invoke.lane)
        fresh = [
            r for r in ended.invoke.records if int(r["dynamodb"]["SequenceNumber"]) > self._delivered.get(lane, -1)
        ]
        written = [time for record in fresh if (time := self._written(record)) is not None]
        if fresh:
            self._delivered[lane] = max(int(record["dynamodb"]["SequenceNumber"]) for record in fresh)
        self._seconds += [began - time for time in written]
        return began - min(written) if written else None

    @property
    def count(self) -> int:
        """Samples so far, as far as they are remembered."""
        return len(self._seconds)

    @property
    def median(self) -> float | None:
        """Seconds."""
        return median(self._seconds) if self._seconds else None

    def summary(self) -> str:
        """In words, for a person."""
        if not self._seconds:
            return "not measured, as the stream tells no fractions of a second" if self._coarse else "no record yet"
        tail = ""
        if len(self._seconds) >= FEWEST_FOR_TAIL:
            tail = f", 95 % within {quantiles(self._seconds, n=20)[-1] * 1000:.0f} ms"
        return f"median {median(self._seconds) * 1000:.0f} ms{tail} ({len(self._seconds)} records)"

    def _written(self, record: Record) -> float | None:
        time = record["dynamodb"].get("ApproximateCreationDateTime")
        if not isinstance(time, float) or time.is_integer():
            self._coarse = True
            return None
        return time
