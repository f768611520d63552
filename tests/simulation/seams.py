"""What the worker is given of the scheduler: time, and calls side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.simulation.scheduler import Scheduler

T = TypeVar("T")


class SimulatedClock:
    """The worker's clock, on the scheduler's time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)


class SimulatedParallel:
    """The worker's side-by-side calls, as tasks of the scheduler."""

    def __init__(self, scheduler: Scheduler, limit: int) -> None:
        self._scheduler = scheduler
        self._limit = limit

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        if len(calls) <= 1:
            return [call() for call in calls]
        return self._scheduler.together(calls, self._limit)
