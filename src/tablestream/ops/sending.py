"""Sending a batch until it is known what became of each of its records, whatever else fails.

What the worker's answers leave open is sent again: its effects are idempotent, or remembered in the journal.

* dead letters: those records are settled, wherever they stand;
* a sequence number: what is below is settled; the record it names is sent alone, then the rest;
* no progress, or any other error: the batch is halved until what fails stands alone.

So a record counts as failed only when it failed alone: within a batch it may have failed for its neighbours, with which
its effects share a call. The later records of its item are then held back.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tablestream.change import RawRecord
from tablestream.ops.invoking import Answer, Broken, FirstFailed, Invoke, Reported, Unreported
from tablestream.ops.planning import Identity, identity_of
from tablestream.ops.terminal import (
    ExitStatus,
    InterruptedRunError,
    OutcomeUnknownError,
    StoppedError,
    Terminal,
    counted,
)
from tablestream.report import RecordState

DEFAULT_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class PendingRecord:
    """A record as it is sent, and its item."""

    record: RawRecord
    item: bytes

    @property
    def identity(self) -> Identity:
        """The event id and the sequence number: the same change has the same."""
        return identity_of(self.record)


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The outcome of sending a record: applied, poisoned, failed or held back behind a failed change of its item."""

    pending: PendingRecord
    state: RecordState
    error: str = ""
    """The class of the error."""
    detail: str = ""
    """What may be told of it."""
    key: str | None = None
    """Of the object that holds the dead letter, where it is an object."""


@dataclass(slots=True)
class Tally:
    """The outcomes of the records, counted at any moment of a run. Mutable; safe to share by threads."""

    applied: int = 0
    """The worker took them: their effects are done, or no handler wants them."""
    poison: int = 0
    """Stored as dead letters."""
    failed: Counter[str] = field(default_factory=Counter)
    """By error class."""
    held_back: int = 0
    """An earlier change of their item failed, or waits itself."""
    gone: int = 0
    """No longer in the bucket when they were to be sent."""
    passed_over: int = 0
    """Items of other entity types than those that were asked for."""
    discarded: int = 0
    """Moved to where no redrive looks."""
    unknown: int = 0
    """Sent, but the run ended before it was known what became of them."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clean(self) -> bool:
        """Whether nothing is left to be done."""
        return not (self.poison or self.failed or self.held_back or self.gone or self.unknown)

    @property
    def begun(self) -> bool:
        """Whether anything has come of the run."""
        return bool(self.applied or self.discarded or not self.clean)

    def count(self, outcome: SendOutcome) -> None:
        """Count a record of which it was unknown what became of it."""
        with self._lock:
            if outcome.state is RecordState.FAILED:
                self.failed[outcome.error] += 1
            elif outcome.state is RecordState.HELD_BACK:
                self.held_back += 1
            elif outcome.state is RecordState.POISONED:
                self.poison += 1
            else:
                self.applied += 1

    def include(self, other: Tally) -> None:
        """Add another tally to this one."""
        with self._lock:
            for name in _NUMBERS:
                setattr(self, name, getattr(self, name) + getattr(other, name))
            self.failed.update(other.failed)

    def add(self, name: str, count: int) -> None:
        """Add to one of the numbers."""
        with self._lock:
            setattr(self, name, getattr(self, name) + count)

    def fields(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        with self._lock:
            numbers = {name: getattr(self, name) for name in _NUMBERS}
            return {**numbers, "failed": self.failed.total(), "errors": dict(self.failed)}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Tally:
        """Return the tally with these fields. Raises `KeyError` or `TypeError`."""
        tally = cls(failed=Counter({str(name): int(count) for name, count in fields["errors"].items()}))
        for name in _NUMBERS:
            tally.add(name, int(fields[name]))
        return tally


_NUMBERS = ("applied", "poison", "held_back", "gone", "passed_over", "discarded", "unknown")


FAILED_FOR_NOW = "FailedForNow"
"""The worker reported the record for redelivery: its log names the error under the record's event id."""


@dataclass(slots=True)
class Sender:
    """Sends batches in order. Mutable: it remembers the items whose later changes must wait.

    After `patience` failed records in a row, nothing settled between them, it raises `StoppedError`: it is then not the
    records.
    """

    invoke: Invoke
    tally: Tally
    patience: int = DEFAULT_PATIENCE
    _stuck: set[bytes] = field(default_factory=set)
    _in_a_row: int = 0
    _details: dict[Identity, str] = field(default_factory=dict)
    """What the worker said when a record was the first of a batch to fail."""
    _open: set[Identity] = field(default_factory=set)
    """What was sent and is not settled."""

    def send(self, records: Sequence[PendingRecord], note: Callable[[SendOutcome], None]) -> None:
        """Note what becomes of each record as it becomes known. The records of an item come in stream order."""
        parts = [list(records)]
        while parts:
            part = parts.pop()
            for one in part:
                if one.item in self._stuck:
                    self._count(SendOutcome(one, RecordState.HELD_BACK), note)
            ready = [one for one in part if one.item not in self._stuck]
            if ready:
                outcomes, left = self._understand(self._answer(ready), ready)
                for outcome in outcomes:
                    self._count(outcome, note)
                parts.extend([list(rest) for rest in reversed(left) if rest])

    def _answer(self, records: Sequence[PendingRecord]) -> Answer:
        """Invoke the worker; until its answer is understood, it is unknown what became of the records."""
        fresh = {one.identity for one in records} - self._open
        self._open |= fresh
        self.tally.add("unknown", len(fresh))
        try:
            return self.invoke([one.record for one in records])
        except OutcomeUnknownError:
            raise
        except Exception:
            # The worker was not reached.
            self._open -= fresh
            self.tally.add("unknown", -len(fresh))
            raise

    def _understand(
        self, answer: Answer, sent: Sequence[PendingRecord]
    ) -> tuple[list[SendOutcome], list[Sequence[PendingRecord]]]:
        """Return what an answer says about the records that were sent, and the parts to be sent again."""
        if isinstance(answer, Unreported):
            raise StoppedError(answer.problem)
        if isinstance(answer, Reported):
            return self._reported(answer, sent)
        if isinstance(answer, FirstFailed):
            self._details[min(sent, key=_sequence).identity] = answer.detail
        return self._unsettled(answer, sent)

    def _reported(
        self, answer: Reported, sent: Sequence[PendingRecord]
    ) -> tuple[list[SendOutcome], list[Sequence[PendingRecord]]]:
        letters = answer.dead_letters
        poisoned = [
            SendOutcome(one, RecordState.POISONED, letters[one.identity].error_class, key=letters[one.identity].key)
            for one in sent
            if one.identity in letters
        ]
        rest = [one for one in sent if one.identity not in letters]
        first = answer.failed_from
        if first is None:
            return [*poisoned, *[SendOutcome(one, RecordState.APPLIED) for one in rest]], []
        below = [one for one in rest if one.identity[1] < first]
        named = [one for one in rest if one.identity[1] == first]
        above = [one for one in rest if one.identity[1] > first]
        if not named:
            wrong = Broken("InvalidAnswer", "the sequence number is none of those that were sent")
            failed, left = self._unsettled(wrong, rest)
            return [*poisoned, *failed], left
        if poisoned or below or above:
            return [*poisoned, *[SendOutcome(one, RecordState.APPLIED) for one in below]], [named, above]
        return self._unsettled(answer, named)

    def _unsettled(
        self, answer: Answer, sent: Sequence[PendingRecord]
    ) -> tuple[list[SendOutcome], list[Sequence[PendingRecord]]]:
        """Halve what failed together; what failed alone has failed."""
        if len(sent) <= 1:
            return [self._failed(one, answer) for one in sent], []
        middle = (len(sent) + 1) // 2
        return [], [sent[:middle], sent[middle:]]

    def _failed(self, one: PendingRecord, answer: Answer) -> SendOutcome:
        self._stuck.add(one.item)
        if isinstance(answer, Broken):
            return SendOutcome(one, RecordState.FAILED, answer.error, answer.detail)
        return SendOutcome(one, RecordState.FAILED, FAILED_FOR_NOW, self._details.pop(one.identity, ""))

    def _count(self, outcome: SendOutcome, note: Callable[[SendOutcome], None]) -> None:
        """Hand an outcome on, and stop when there are too many failures in a row."""
        if outcome.pending.identity in self._open:
            self._open.remove(outcome.pending.identity)
            self.tally.add("unknown", -1)
        self.tally.count(outcome)
        note(outcome)
        if outcome.state is RecordState.HELD_BACK:
            return
        self._in_a_row = self._in_a_row + 1 if outcome.state is RecordState.FAILED else 0
        if self._in_a_row >= self.patience:
            why = f"{outcome.error}{': ' if outcome.detail else ''}{outcome.detail}"
            raise StoppedError(f"{self._in_a_row} records failed in a row, so it is hardly the records ({why})")


def _sequence(one: PendingRecord) -> int:
    return one.identity[1]


def told(outcome: SendOutcome | None, terminal: Terminal) -> None:
    """Write a JSON line for a record that was not applied."""
    if outcome is not None and outcome.state is not RecordState.APPLIED:
        event_id, number = outcome.pending.identity
        terminal.emit(
            "record",
            event_id=event_id,
            sequence_number=str(number),
            outcome=outcome.state.value,
            error_class=outcome.error or None,
            detail=outcome.detail or None,
            key=outcome.key,
        )


def concluded(
    work: Callable[[], ExitStatus], tally: Tally, terminal: Terminal, sum_up: Callable[[Tally, Terminal], None]
) -> ExitStatus:
    """Do the work, say what has come of it, however it ends, and return the exit status.

    What is wrong with the command or the permissions is raised; if anything was sent by then, with the figures.
    """
    stopped = ""
    try:
        status = work()
        status = status if tally.clean else ExitStatus.INCOMPLETE
    except KeyboardInterrupt:
        status, stopped = ExitStatus.INTERRUPTED, "ended at once"
    except InterruptedRunError as interrupted:
        status, stopped = interrupted.status, str(interrupted)
    except StoppedError as error:
        status, stopped = ExitStatus.INCOMPLETE, str(error)
    except (ClientError, BotoCoreError) as error:
        if not tally.begun:
            raise
        status, stopped = ExitStatus.USAGE, str(error)
    sum_up(tally, terminal)
    if tally.unknown:
        terminal.say(f"{counted(tally.unknown, 'record')} sent, and what became of that is not known")
    if stopped:
        terminal.warn(f"stopped: {stopped}")
        terminal.warn("what is left is where it was; the same command goes on")
    terminal.emit("summary", **tally.fields(), status=int(status), stopped=stopped or None)
    return status
