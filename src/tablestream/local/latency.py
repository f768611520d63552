"""How long it takes from a write to the table to the start of the handler."""

from __future__ import annotations

from collections import deque
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tablestream.local.trigger.observations import Ended, Read

REMEMBERED = 10_000  # records
FEWEST_FOR_TAIL = 20


class Latency:
    """Collects one sample per record, of its first delivery. Mutable: it is a measurement.

    Of records whose time of writing was not told to a fraction of a second (DynamoDB Local tells the minute) nothing is
    measured.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, str, str], float] = {}
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._delivered: dict[tuple[str, str, int], int] = {}
        self._coarse = False

    def read(self, read: Read) -> None:
        """Take the times at which records were written."""
        self._written |= {(read.mapping, read.shard_id, number): at for number, at in read.written.items()}
        while len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]

    def add(self, ended: Ended) -> float | None:
        """Take an invocation; returns the longest of its new samples in seconds, if it has any."""
        began = ended.invocation.began
        if began is None:
            return None
        shard = (ended.mapping, ended.invoke.shard_id)
        slot = (*shard, ended.invoke.slot)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in ended.invoke.records]
        fresh = [number for number in numbers if int(number) > self._delivered.get(slot, -1)]
        written = [at for number in fresh if (at := self._written.pop((*shard, number), None)) is not None]
        if fresh:
            self._delivered[slot] = int(fresh[-1])
            self._coarse |= len(written) < len(fresh)
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
