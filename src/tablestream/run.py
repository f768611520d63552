"""`Run`: the deadline, the clock, the threads and the retry delays that an invocation lends to a sink."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Gives the time and waits."""

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
    """The part of Lambda's context object that the worker reads."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""
        ...


class Deadline(NamedTuple):
    """The moment at which work must stop, so that the answer is still given in time."""

    remaining: Callable[[], float]
    """Return the seconds that are left; zero or less when the deadline has passed."""
    call_seconds: float = 0.0
    """How much longer a call may take that is begun right before the deadline."""

    @classmethod
    def of(cls, context: LambdaContext | None, margin_seconds: float) -> Deadline:
        """Return Lambda's own deadline less a margin in seconds; no context (a call by hand) means no deadline."""
        if context is None:
            return cls(lambda: float("inf"))
        left = context.get_remaining_time_in_millis
        return cls(lambda: left() / 1000 - margin_seconds, margin_seconds * CALL_SHARE)

    @property
    def expired(self) -> bool:
        """Whether nothing new should be begun."""
        return self.remaining() <= 0

    def less(self, share: float) -> Deadline:
        """Return a deadline that leaves a share, from 0 to 1, of the time that is left now.

        Of a short time it leaves more, up to half: a call that is under way then must not use up what is left.
        """
        remaining = self.remaining
        left = remaining()
        kept = max(left * share, min(self.call_seconds, left / 2))
        return Deadline(lambda: remaining() - kept, self.call_seconds) if 0 < kept < float("inf") else self


CALL_SHARE = 0.45
"""The part of the margin that a call may take: there is time for one of a sink and for one of the journal.

`tablestream.dynamodb.client.settings` makes clients that keep to it.
"""
DEFAULT_MARGIN_SECONDS = 5.0
"""The part of Lambda's timeout that is kept back for the journal, the answer and the call that is under way."""
_MARGIN_SHARE = 0.3


def margin_of(context: LambdaContext, margin_seconds: float | None) -> float:
    """Return the margin in seconds of an invocation that begins; where none is set, one that fits the timeout."""
    if margin_seconds is not None:
        return margin_seconds
    return min(DEFAULT_MARGIN_SECONDS, context.get_remaining_time_in_millis() / 1000 * _MARGIN_SHARE)


class Backoff(NamedTuple):
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


class Parallel(Protocol):
    """Runs independent calls side by side: on threads in production, in a chosen order in tests."""

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run all calls, return their results in order; raise the first error once all have ended."""
        ...


class Sequential:
    """One call after the other, in order."""

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run the calls in order."""
        return _results([_end(call) for call in calls])


class ThreadParallel:
    """Calls on a pool of threads that lives as long as the execution environment."""

    def __init__(self, threads: int) -> None:
        """Take the number of threads; they are started when first needed."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tablestream")

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run the calls on the pool; a single call runs on the caller's thread."""
        if len(calls) == 1:
            return [calls[0]()]
        futures = [self._pool.submit(_end, call) for call in calls]
        return _results([future.result() for future in futures])


class _Ended(NamedTuple, Generic[T]):
    """A call that has ended: its result, or its error."""

    value: T | None
    error: BaseException | None


def _end(call: Callable[[], T]) -> _Ended[T]:
    try:
        return _Ended(call(), None)
    except BaseException as error:  # noqa: BLE001 -- raised by _results once all calls have ended
        return _Ended(None, error)


def _results(ended: list[_Ended[T]]) -> list[T]:
    try:
        for _, error in ended:
            if error is not None:
                raise error
        return [value for value, _ in ended]  # type: ignore[misc]  # a call without an error has a value
    finally:
        # An error that is raised refers to this frame, which must not refer to the error.
        del ended
        error = None


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return the items in order, at most `size` together: as many as an AWS call takes."""
    return [items[start : start + size] for start in range(0, len(items), size)]


class Run(NamedTuple):
    """One invocation, as far as a sink, the journal and the dead letters need it."""

    deadline: Deadline = Deadline.of(None, 0)
    """A sink stops in time, and answers `Transient` for what is left."""
    clock: Clock = SystemClock()
    parallel: Parallel = Sequential()
    backoff: Backoff = Backoff()

    def within(self, context: LambdaContext | None, margin_seconds: float) -> Run:
        """Return the same for an invocation: with Lambda's own deadline less a margin in seconds."""
        return Run(Deadline.of(context, margin_seconds), self.clock, self.parallel, self.backoff)

    def less(self, share: float) -> Run:
        """Return the same with a deadline that leaves a share of the time, see `Deadline.less`."""
        return Run(self.deadline.less(share), self.clock, self.parallel, self.backoff)

    def attempts(self, tries: int | None = None) -> Iterator[None]:
        """Yield for the first attempt, and after each wait for another one.

        `tries` bounds the number of retries; None means as many as the backoff has.
        """
        yield
        backoff = self.backoff
        if tries is not None:
            backoff = Backoff(backoff.base, backoff.cap, tries, backoff.uniform)
        yield from backoff.waits(self.clock, self.deadline)
