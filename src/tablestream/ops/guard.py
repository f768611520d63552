"""The rate limit, Ctrl-C and the lease: what every invocation has to pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tablestream.change import RawRecord
from tablestream.ops.invoking import Answer, Broken, Invoke, Unreported
from tablestream.ops.lease import Lease
from tablestream.ops.pace import Pace
from tablestream.ops.terminal import Interrupt, StoppedError, UsageError
from tablestream.run import Clock

_NAP = 1.0


@dataclass(frozen=True, slots=True)
class Ready:
    """Says whether more may be sent: the operator has not ended the run, and the lease is held."""

    lease: Lease
    interrupt: Interrupt

    def __call__(self) -> None:
        """Raise `StoppedError` when nothing more shall be sent."""
        self.interrupt.check()
        self.lease.confirm()


@dataclass(frozen=True, slots=True)
class WatchfulClock:
    """A clock whose naps are short: between them the lease is kept, and Ctrl-C is noticed."""

    clock: Clock
    ready: Callable[[], None]

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `StoppedError` when nothing more shall be sent."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 0:
            self.clock.sleep(min(left, _NAP))
            self.ready()


def paced(invoke: Invoke, pace: Pace) -> Invoke:
    """Return an `Invoke` that waits for its turn."""

    def send(records: Sequence[RawRecord]) -> Answer:
        pace.wait(len(records))
        return invoke(records)

    return send


def proven(invoke: Invoke) -> Invoke:
    """Return the `Invoke` of a worker that says which records became dead letters; it is asked without a record.

    Raises `UsageError` for an older worker, `StoppedError` for one that fails for no record at all.
    """
    answer = invoke([])
    if isinstance(answer, Unreported):
        raise UsageError(answer.problem)
    if isinstance(answer, Broken):
        raise StoppedError(f"the worker fails for a batch of no records: {answer.error} {answer.detail}".rstrip())
    return invoke
