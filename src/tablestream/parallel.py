"""Calls side by side, behind a seam: threads in production, one after the other (or a scheduler's order) in tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Parallel(Protocol):
    """Runs independent calls."""

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run all calls, return their results in order; raise the first error once all have ended."""
        ...


class Sequential:
    """One call after the other, in order."""

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run the calls in order."""
        return _collect([_Outcome(call) for call in calls])


class ThreadParallel:
    """Calls on a pool of threads that lives as long as the execution environment."""

    def __init__(self, threads: int) -> None:
        """Take the number of threads; they are started when first needed."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tablestream")

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run the calls on the pool; a single call runs on the caller's thread."""
        if len(calls) == 1:
            return [calls[0]()]
        futures = [self._pool.submit(_Outcome, call) for call in calls]
        return _collect([future.result() for future in futures])


class _Outcome(Generic[T]):
    """What a call returned or raised."""

    __slots__ = ("error", "value")

    def __init__(self, call: Callable[[], T]) -> None:
        self.error: Exception | None = None
        try:
            self.value = call()
        except Exception as error:  # noqa: BLE001 -- kept, and raised by _collect once all calls have ended
            self.error = error


def _collect(outcomes: list[_Outcome[T]]) -> list[T]:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in outcomes]
