"""Sending a batch until each of its records has found its fate, whatever else fails.

What the worker's answers leave open is sent again: its effects are idempotent, or remembered in the journal.

* a sequence number: what is below is settled; the record it names is sent alone, then the rest;
* no progress, or any other error: the batch is halved until what fails stands alone.

So a record counts as failed only when it failed alone: within a batch it may have failed for its neighbours, with which
its effects share a call. The later records of its item are then held back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ops.errors import StoppedError
from ops.invoking import Answer, Broken, From, Head, Invoke, Settled
from ops.parked import Identity, identity_of
from tablestream.change import RawRecord

DEFAULT_PATIENCE = 5


class Fate(Enum):
    """What became of a record."""

    SETTLED = "settled"
    FAILED = "failed"
    HELD_BACK = "held back"
    """An earlier change of its item failed."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A record as it is sent, and its item."""

    record: RawRecord
    item: bytes

    @property
    def identity(self) -> Identity:
        """What makes it the same change as another."""
        return identity_of(self.record)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a parcel, with the class of the error and what may be told of it."""

    parcel: Parcel
    fate: Fate
    error: str = ""
    detail: str = ""


FAILED_FOR_NOW = "FailedForNow"
"""The worker reported the record for redelivery: its log names the error under the record's event id."""


@dataclass(slots=True)
class Sender:
    """Sends batches in order. Mutable: it remembers the items whose later changes must wait.

    After `patience` failed records in a row, nothing settled between them, it raises `StoppedError`: it is then not the
    records.
    """

    invoke: Invoke
    patience: int = DEFAULT_PATIENCE
    _stuck: set[bytes] = field(default_factory=set)
    _in_a_row: int = 0
    _details: dict[Identity, str] = field(default_factory=dict)
    """What the worker said when a record was the first of a batch to fail."""

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Result]:
        """Yield the fate of each parcel as it becomes known. The parcels of an item come in stream order."""
        parts = [list(parcels)]
        while parts:
            part = parts.pop()
            yield from [Result(parcel, Fate.HELD_BACK) for parcel in part if parcel.item in self._stuck]
            ready = [parcel for parcel in part if parcel.item not in self._stuck]
            if ready:
                results, left = self._understand(self.invoke([parcel.record for parcel in ready]), ready)
                yield from self._counted(results)
                parts.extend([list(rest) for rest in reversed(left) if rest])

    def _understand(self, answer: Answer, sent: Sequence[Parcel]) -> tuple[list[Result], list[Sequence[Parcel]]]:
        """Return what an answer says about the parcels that were sent, and the parts to be sent again."""
        if isinstance(answer, Settled):
            return [Result(parcel, Fate.SETTLED) for parcel in sent], []
        if isinstance(answer, From):
            below = [parcel for parcel in sent if parcel.identity[1] < answer.sequence]
            named = [parcel for parcel in sent if parcel.identity[1] == answer.sequence]
            above = [parcel for parcel in sent if parcel.identity[1] > answer.sequence]
            if not named:
                answer = Broken("InvalidAnswer", "the sequence number is none of those that were sent")
            elif below or above:
                return [Result(parcel, Fate.SETTLED) for parcel in below], [named, above]
        if isinstance(answer, Head):
            self._details[min(sent, key=_sequence).identity] = answer.detail
        if len(sent) == 1:
            return [self._failed(sent[0], answer)], []
        middle = (len(sent) + 1) // 2
        return [], [sent[:middle], sent[middle:]]

    def _failed(self, parcel: Parcel, answer: Answer) -> Result:
        self._stuck.add(parcel.item)
        if isinstance(answer, Broken):
            return Result(parcel, Fate.FAILED, answer.error, answer.detail)
        return Result(parcel, Fate.FAILED, FAILED_FOR_NOW, self._details.pop(parcel.identity, ""))

    def _counted(self, results: Sequence[Result]) -> Iterator[Result]:
        """Hand results on, and stop when there are too many failures in a row."""
        for result in results:
            self._in_a_row = 0 if result.fate is Fate.SETTLED else self._in_a_row + 1
            yield result
            if self._in_a_row >= self.patience:
                why = f"{result.error}{': ' if result.detail else ''}{result.detail}"
                raise StoppedError(f"{self._in_a_row} records failed in a row, so it is hardly the records ({why})")


def _sequence(parcel: Parcel) -> int:
    return parcel.identity[1]
