"""One invocation of the function: when it began, what it was given, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, TimedOut
from tests.simulation.faults import Fault
from tests.simulation.scheduler import Scheduler

Handler = Callable[[Any, Any], Any]
Record = Mapping[str, Any]


class Environments:
    """Execution environments: one is busy with one invocation at a time, keeps its memory, and dies of a crash."""

    def __init__(self, start: Callable[[], Handler]) -> None:
        """Take what a cold start does."""
        self._start = start
        self._idle: list[Handler] = []

    def take(self) -> Handler:
        """Return the function of an environment that has nothing to do, of a new one if all are busy."""
        return self._idle.pop() if self._idle else self._start()

    def give_back(self, handler: Handler) -> None:
        """Let an environment that lives do something else."""
        self._idle.append(handler)


class Invocation:
    """The group of all tasks of one invocation, and Lambda's context object for it. Mutable: it lives."""

    function_name = "worker"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:worker"
    aws_request_id = "simulated"

    def __init__(
        self,
        scheduler: Scheduler,
        environments: Environments,
        event: Mapping[str, Any],
        *,
        timeout: float,
        margin: float,
    ) -> None:
        self._scheduler = scheduler
        self._environments = environments
        self.event = event
        self.margin = margin
        self._timeout = timeout
        self._ends = float("inf")
        self.began = float("inf")
        self._on_end: Callable[[InvocationOutcome], None] | None = None
        self.dead = False
        self.hangs = False
        self.overran = False
        self.faults: list[Fault] = []
        self.unjournalled: set[str] = set()
        """Event ids whose entry the journal did not take: that explains a repeated notification."""

    @property
    def records(self) -> Sequence[Record]:
        """The records of the stream that it was given."""
        found: Sequence[Record] = self.event.get("Records", ())
        return found

    @property
    def event_ids(self) -> list[str]:
        return [record["eventID"] for record in self.records]

    def start(
        self, after: float, on_end: Callable[[InvocationOutcome], None], memory_lasts: float | None = None
    ) -> None:
        """Begin after some seconds; `memory_lasts` is how long until it runs out of memory, if it does."""
        self._on_end = on_end
        self.began = self._scheduler.now + after
        self._ends = self.began + self._timeout
        self._scheduler.spawn(self._run, self, self.began)
        self._scheduler.at(self._ends, self._time_out)
        if memory_lasts is not None:
            at = self._scheduler.now + after + memory_lasts
            self._scheduler.at(at, partial(self.crash, "OutOfMemory"))

    def remaining(self) -> float:
        """Seconds until Lambda ends it."""
        return self._ends - self._scheduler.now

    def get_remaining_time_in_millis(self) -> int:
        """As Lambda's context has it."""
        return max(0, int(self.remaining() * 1000))

    def crash(self, kind: str = "Crash") -> None:
        """End the process."""
        self._end(FunctionError(kind), dead=True)

    def _run(self) -> None:
        handler = self._environments.take()
        outcome: InvocationOutcome
        try:
            outcome = Answered(handler(self.event, self))
        except Exception as error:  # noqa: BLE001 -- whatever a function raises, Lambda calls a function error
            outcome = FunctionError(type(error).__name__)
        self._environments.give_back(handler)
        self._end(outcome)

    def _time_out(self) -> None:
        if self._on_end is not None:
            self.overran = not self.hangs
            self._end(TimedOut(), dead=True)

    def _end(self, outcome: InvocationOutcome, *, dead: bool = False) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            self.dead = dead
            on_end(outcome)
