"""Time, injected: the wall clock and the deadline of an invocation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Where the worker reads time and waits."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class LambdaContext(Protocol):
    """What the worker asks of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """When work must stop, so that the answer is still given in time."""

    remaining: Callable[[], float]
    """Return the seconds that are left; zero or less when the deadline has passed."""

    @classmethod
    def of(cls, context: LambdaContext | None, margin_seconds: float) -> Deadline:
        """Return Lambda's own deadline less a margin in seconds; no context (a call by hand) means no deadline."""
        if context is None:
            return cls(lambda: float("inf"))
        left = context.get_remaining_time_in_millis
        return cls(lambda: left() / 1000 - margin_seconds)

    @property
    def expired(self) -> bool:
        """Whether nothing new should be begun."""
        return self.remaining() <= 0
