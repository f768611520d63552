"""Backoff as a value that yields delays."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tablestream.clock import Clock, Deadline


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: each delay is drawn between zero and a bound that doubles up to a cap.

    `base` and `cap` are seconds; `tries` bounds the number of delays. Full jitter is what AWS recommends for contended
    writes ("Exponential Backoff And Jitter", AWS Architecture Blog).
    """

    base: float = 0.05
    cap: float = 2.0
    tries: int = 8
    uniform: Callable[[float, float], float] = random.uniform

    def delays(self) -> Iterator[float]:
        """Yield at most `tries` delays in seconds."""
        for attempt in range(self.tries):
            yield self.uniform(0, min(self.cap, self.base * 2**attempt))

    def waits(self, clock: Clock, deadline: Deadline) -> Iterator[None]:
        """Sleep, then yield, before each retry; end when the tries are used up or the deadline would pass."""
        for delay in self.delays():
            if delay >= deadline.remaining():
                return
            clock.sleep(delay)
            yield

    def attempts(self, clock: Clock, deadline: Deadline) -> Iterator[None]:
        """Yield for the first attempt, and after each wait for another one."""
        yield
        yield from self.waits(clock, deadline)
