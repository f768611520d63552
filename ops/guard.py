"""The rate limit, Ctrl-C and the lease: what every invocation has to pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ops.interrupt import check
from ops.invoking import Answer, Invoke
from ops.lease import Lease
from ops.pace import Pace
from tablestream.change import RawRecord
from tablestream.clock import Clock

_NAP = 1.0


@dataclass(frozen=True, slots=True)
class Ready:
    """Says whether more may be sent: the operator has not ended the run, and the lease is held."""

    lease: Lease
    stop: threading.Event

    def __call__(self) -> None:
        """Raise `StoppedError` when nothing more shall be sent."""
        check(self.stop)
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
