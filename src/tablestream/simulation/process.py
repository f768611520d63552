"""A process of the function in a schedule: its invocation, its clock, and the points at which a fault can strike it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from unittest.mock import patch

from tablestream.local.delivery.protocol import FunctionError, InvocationOutcome, TimedOut
from tablestream.simulation.schedule import PAUSE_SECONDS, Mishap, MishapPlan

T = TypeVar("T")

TIMEOUT_SECONDS = 30.0


class Killed(KeyboardInterrupt):
    """The process of an invocation is gone. Not an Exception, so that nothing handles it."""


class Course(Protocol):
    """The course of a schedule, as what runs in it needs it."""

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        ...

    @property
    def over(self) -> bool:
        """Whether something is wrong, so that nothing goes on."""
        ...

    @property
    def running(self) -> Process | None:
        """The invocation that runs; None while nothing of the function does."""
        ...

    def pause(self, seconds: float) -> None:
        """Let others go on for so long."""
        ...

    def number_of(self, sequence_number: str) -> int:
        """Return the number of a change."""
        ...

    def tell(self, line: str) -> None:
        """Note what has happened, for the report."""
        ...


class Environment:
    """An execution environment: its function, its number, and how far its clock is off."""

    __slots__ = ("handler", "number", "off")

    def __init__(self, number: int, handler: Callable[[object, Any], object]) -> None:
        self.number = number
        self.handler = handler
        self.off = 0.0


class Process:
    """An environment that works on an invocation, and Lambda's context of it."""

    function_name = "worker"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:worker"
    aws_request_id = "simulated"

    def __init__(self, course: Course, change: int, environment: Environment) -> None:
        """Begin an invocation whose batch begins with this change."""
        self._course = course
        self._ends = course.now + TIMEOUT_SECONDS
        self.change = change
        self.environment = environment
        self.ended: InvocationOutcome | None = None
        """How the process has ended, if it has."""

    def get_remaining_time_in_millis(self) -> int:
        """As Lambda's context has it: no clock that jumps is asked."""
        return max(0, round((self._ends - self._course.now) * 1000))

    def check(self) -> None:
        """Raise `Killed` when it has ended, or its time has run out."""
        if self.ended is None and self._course.now >= self._ends:
            self.ended = TimedOut()
        if self.ended is not None or self._course.over:
            raise Killed

    def crash(self) -> None:
        """End it as a crash; raises `Killed`."""
        self.ended = FunctionError("Crash")
        raise Killed

    def hang(self) -> None:
        """Let its time run out; raises `Killed`."""
        self._course.pause(self._ends - self._course.now)
        self.check()


class ProcessClock:
    """The clock of whatever process runs."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        process = self._course.running
        return self._course.now + (process.environment.off if process is not None else 0.0)

    def sleep(self, seconds: float) -> None:
        """Let others go on for so long."""
        self._course.pause(max(0.0, seconds))
        if (process := self._course.running) is not None:
            process.check()


class Points:
    """The points of a schedule: what is called through here can go wrong."""

    def __init__(self, course: Course, plan: MishapPlan) -> None:
        self.course = course
        self._plan = plan

    def call(
        self,
        name: str,
        kinds: Sequence[Mishap],
        serve: Callable[[], T],
        refusal: Callable[[str], Exception],
        silence: Callable[[str], Exception],
    ) -> T:
        """Make a call, with what goes wrong there and back: a refusal, or an answer that nobody gets."""
        process = self.course.running
        if process is None:
            return serve()
        fault = self.reach(name, process, process.change, kinds)
        self.begin(fault, process)
        if fault is Mishap.REFUSED:
            raise refusal(name)
        answer = serve()
        self.end(fault, process)
        if fault is Mishap.NO_ANSWER:
            raise silence(name)
        return answer

    def reach(self, name: str, process: Process, change: int, kinds: Sequence[Mishap]) -> Mishap | None:
        """Return what goes wrong at a point; raises `Killed` when the process does not get there."""
        process.check()
        fault = self._plan.draw(name, change, kinds)
        if fault is not None:
            self.course.tell(f"  {name} of change {change}: {fault}")
        return fault

    def begin(self, fault: Mishap | None, process: Process) -> None:
        """Carry out what goes wrong before a call; raises `Killed` for a crash."""
        if fault is Mishap.CRASH_BEFORE:
            process.crash()
        if fault is Mishap.PAUSE:
            self.course.pause(PAUSE_SECONDS)
            process.check()

    def end(self, fault: Mishap | None, process: Process) -> None:
        """Carry out what goes wrong after a call; raises `Killed` for a crash and for a timeout."""
        if fault is Mishap.CRASH_AFTER:
            process.crash()
        if fault is Mishap.TIMEOUT:
            process.hang()


@contextmanager
def steered(clock: ProcessClock) -> Iterator[None]:
    """Have `time` tell the simulated time, and `random` repeat itself."""
    state = random.getstate()
    random.seed(0)
    names: Mapping[str, Callable[..., Any]] = {
        "time": clock.now,
        "time_ns": lambda: int(clock.now() * 10**9),
        "sleep": clock.sleep,
    }
    patches = [patch.object(time, name, function) for name, function in names.items()]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
        random.setstate(state)
