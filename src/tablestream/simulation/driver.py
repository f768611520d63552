"""Plays one schedule: the stream, its shards, Lambda's delivery, environments and their clocks, in one thread.

The delivery is `tablestream.local.delivery`, the state machine behind `tablestream local`. While a call pauses,
everything that is due meanwhile happens inside of it, other invocations too: so two of them interleave, and the same
schedule always runs the same way.
"""

from __future__ import annotations

import copy
import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Protocol
from zlib import crc32

from tablestream.errors import ConfigurationError, InvalidEvent
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, Invoke, NotInvoked, TimedOut
from tablestream.local.delivery.shard import Begin, Shard, ShardDelivery, ShardPlan
from tablestream.simulation.process import Environment, Killed, Points, Process, ProcessClock, steered
from tablestream.simulation.schedule import (
    AGAIN_SECONDS,
    JUMP_SECONDS,
    OF_INVOCATION,
    Action,
    Mishap,
    MishapPlan,
    Schedule,
    Step,
)
from tablestream.simulation.services import Services
from tablestream.testing.records import CREATED, Record, expired, inserted, modified, removed
from tablestream.worker import LambdaHandler, Worker

_STREAM_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/simulated/stream/2025-01-01T00:00:00.000"
_FIRST_NUMBER = 10**20 - 3
"""Sequence numbers get one digit longer with the fourth change: as text, it comes before the third."""
_MOST_INVOCATIONS = 40
"""So many, and as many for each step, must be enough: otherwise something is delivered again and again."""


class Trial(Protocol):
    """The subject of a test: made with new `Services` for each schedule.

    It may have a method `always`, too: it is called after each invocation, and raises when something is wrong then.
    """

    def start(self) -> Worker | LambdaHandler:
        """Return the worker, or a handler of one's own, as after a cold start: it is called for each environment."""
        ...

    def at_end(self) -> object:
        """Raise when something is wrong once everything has been delivered."""
        ...


@dataclass(frozen=True, slots=True)
class Keyed:
    """The table: its name, and its key attributes."""

    table: str
    keys: tuple[str, ...]


@dataclass(slots=True)
class Played:
    """A schedule as it was played, and the error that it ended with, if any."""

    schedule: Schedule
    story: list[str]
    error: Exception | None


class SimulationFailed(AssertionError):
    """Something that holds for every worker does not hold."""


def play(schedule: Schedule, plan: MishapPlan, make: Callable[[Services], Trial], keyed: Keyed) -> Played:
    """Play a schedule; the outcome has the faults that did strike."""
    return Driver(schedule, plan, make, keyed).play()


@dataclass(slots=True)
class _Reader:
    """A shard on its way. `delivery` is None as long as its parent is not finished."""

    shard: Shard
    records: list[Record] = field(default_factory=list)
    delivery: ShardDelivery | None = None
    finished: bool = False
    pumped_at: float | None = None


class Driver:
    """The parts of a schedule put together. Mutable: it is what happens."""

    def __init__(self, schedule: Schedule, plan: MishapPlan, make: Callable[[Services], Trial], keyed: Keyed) -> None:
        """Take what is to be played."""
        self._schedule = schedule
        self._plan = plan
        self._keyed = keyed
        self.now = CREATED
        self.error: Exception | None = None
        self.clock = ProcessClock(self)
        self.services = Services(Points(self, plan), self.clock)
        self._make = make
        self._runs: Process | None = None
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._numbers: dict[str, int] = {}
        self._sequence = count(_FIRST_NUMBER)
        self._idle: list[Environment] = []
        self._environments = 0
        self._invocations = 0
        self._last = ""
        self._story: list[str] = []
        mapped = schedule.mapped
        self._settings = MappingSettings(
            batch_size=mapped.batch_size, parallelization=mapped.slots, bisect=True, report_failures=True
        )
        self._shards = ShardPlan("TRIM_HORIZON")
        self._open: list[_Reader] = [_Reader(Shard(f"shard-{n}")) for n in range(mapped.shards)]
        self._readers = list(self._open)

    @property
    def running(self) -> Process | None:
        """The invocation that runs."""
        return self._runs

    @property
    def over(self) -> bool:
        """Whether something is wrong."""
        return self.error is not None

    def play(self) -> Played:
        """Let everything happen."""
        with steered(self.clock):
            self._trial = self._make(self.services)
            self._begin(self._shards.update([reader.shard for reader in self._readers]))
            at = self.now
            for step in self._schedule.steps:
                at += step.after
                self.at(at, partial(self._take_step, step))
            self._run_until(float("inf"))
            self._judge()
        return Played(
            Schedule(self._schedule.steps, dict(self._plan.fired), self._schedule.mapped), self._story, self.error
        )

    def _judge(self) -> None:
        if self.error is None and self.services.impure is not None:
            self.error = SimulationFailed(self.services.impure)
        if self.error is None:
            self._ask_trial(self._trial.at_end)

    def _ask_trial(self, check: Callable[[], object]) -> None:
        outer, self._runs = self._runs, None
        try:
            check()
        except Exception as error:
            self.error = self.error or error
        self._runs = outer

    # --- time --------------------------------------------------------------------------------------------------------

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Have something happen at a time."""
        heapq.heappush(self._queue, (time, next(self._order), call))

    def pause(self, seconds: float) -> None:
        """Let everything else that is due within so many seconds happen."""
        until = self.now + seconds
        self._run_until(until)
        self.now = max(self.now, until)

    def _run_until(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until and self.error is None:
            time, _, call = heapq.heappop(self._queue)
            self.now = max(self.now, time)
            outer, self._runs = self._runs, None
            call()
            self._runs = outer

    def tell(self, line: str) -> None:
        """Note what has happened."""
        self._story.append(f"{self.now - CREATED:8.1f} s  {line}")

    def number_of(self, sequence_number: str) -> int:
        """Return the number of a change."""
        return self._numbers.get(sequence_number, 0)

    # --- the stream --------------------------------------------------------------------------------------------------

    def _take_step(self, step: Step) -> None:
        if step.action is Action.RESHARD:
            self.tell(str(step.action))
            self._reshard()
        elif step.action is Action.RESTART:
            self.tell(str(step.action))
            self._restart()
        else:
            self._write(step)

    def _write(self, step: Step) -> None:
        key = tuple([step.item[name] for name in self._keyed.keys])
        old = self.services.items.get(key)
        made = self._record(step, old, key)
        if made is None:
            return
        number = made["dynamodb"]["SequenceNumber"]
        self._numbers[number] = step.number
        self.tell(f"change {step.number}: {made['eventName']} {dict(self.services.items.get(key, old or {}))}")
        reader = self._open[crc32(repr(key).encode()) % len(self._open)]
        reader.records.append(made)
        if reader.delivery is not None:
            reader.delivery.offer([made], self.now)
            self.at(self.now, partial(self._pump, reader))

    def _record(self, step: Step, old: Mapping[str, Any] | None, key: tuple[Any, ...]) -> Record | None:
        """Store what a step changes and return its record; None where nothing changes, as others are left out."""
        items = self.services.items
        settings: Any = {
            "keys": self._keyed.keys,
            "table": self._keyed.table,
            "at": float(int(self.now)),
            "sequence_number": next(self._sequence),
        }
        if step.action in {Action.REMOVE, Action.EXPIRE}:
            if old is None:
                return None
            del items[key]
            return (removed if step.action is Action.REMOVE else expired)(old, **settings)
        if step.action is Action.MODIFY and old is None:
            return None
        new = {**old, **step.item} if step.action is Action.MODIFY and old is not None else dict(step.item)
        if new == old:
            return None
        items[key] = new
        return inserted(new, **settings) if old is None else modified(old, new, **settings)

    def _reshard(self) -> None:
        """Close the open shards; each has one child, or two where there is one shard only."""
        parents, self._open = self._open, []
        for reader in parents:
            reader.shard = Shard(reader.shard.shard_id, reader.shard.parent, closed=True)
            names = [f"{reader.shard.shard_id}.{n}" for n in range(2 if len(parents) == 1 else 1)]
            self._open += [_Reader(Shard(name, parent=reader.shard.shard_id)) for name in names]
            if reader.delivery is not None:
                reader.delivery.close()
                self.at(self.now, partial(self._pump, reader))
        self._readers += self._open
        self._begin(self._shards.update([reader.shard for reader in self._readers]))

    def _restart(self) -> None:
        """Deliver each shard again from its checkpoint; what is under way is answered to nobody."""
        for reader in self._readers:
            if reader.delivery is not None and not reader.finished:
                self._deliver(reader, reader.delivery.checkpoint)

    def _begin(self, begins: Sequence[Begin]) -> None:
        for begin in begins:
            reader = next(one for one in self._readers if one.shard.shard_id == begin.shard_id)
            self._deliver(reader, begin.checkpoint)

    def _deliver(self, reader: _Reader, checkpoint: str | None) -> None:
        reader.delivery = ShardDelivery(self._settings, reader.shard.shard_id, _STREAM_ARN, checkpoint=checkpoint)
        reader.pumped_at = None
        behind = int(checkpoint or -1)
        left = [record for record in reader.records if int(record["dynamodb"]["SequenceNumber"]) > behind]
        reader.delivery.offer(left, self.now)
        if reader.shard.closed:
            reader.delivery.close()
        self.at(self.now, partial(self._pump, reader))

    def _pump(self, reader: _Reader) -> None:
        delivery = reader.delivery
        if delivery is None or reader.finished:
            return
        for action in delivery.due(self.now):
            if isinstance(action, Invoke):
                self.at(self.now, partial(self._invoke, reader, delivery, action))
            else:
                self.tell(f"Lambda gives {self._changes(action.records)} up")
        delivery.events()
        if delivery.finished:
            reader.finished = True
            self._begin(self._shards.finished(reader.shard.shard_id))
            return
        following = delivery.next_due(self.now)
        if following is not None and (reader.pumped_at is None or not self.now < reader.pumped_at <= following):
            reader.pumped_at = max(following, self.now + 0.001)
            self.at(reader.pumped_at, partial(self._pump, reader))

    # --- invocations -------------------------------------------------------------------------------------------------

    def _changes(self, records: Sequence[Mapping[str, Any]]) -> str:
        numbers = [self.number_of(record["dynamodb"]["SequenceNumber"]) for record in records]
        return f"change{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"

    def _invoke(self, reader: _Reader, delivery: ShardDelivery, action: Invoke) -> None:
        first = self.number_of(action.records[0]["dynamodb"]["SequenceNumber"])
        fault = self._plan.draw("the invocation", first, OF_INVOCATION)
        if fault is not None:
            self.tell(f"the invocation of {self._changes(action.records)}: {fault}")
        if fault is Mishap.TWICE:
            self.at(self.now, partial(self._run, action.records, None))
        if fault is Mishap.AGAIN:
            self.at(self.now + AGAIN_SECONDS, partial(self._run, action.records, None))
        outcome: InvocationOutcome = NotInvoked()
        if fault is not Mishap.NOT_STARTED:
            outcome = self._run(action.records, fault)
        if fault is Mishap.ANSWER_LOST:
            outcome = FunctionError("AnswerLost")
        delivery.answered(action.id, outcome, self.now)
        self.at(self.now, partial(self._pump, reader))

    def _run(self, records: Sequence[Mapping[str, Any]], fault: Mishap | None) -> Any:
        self._invocations += 1
        environment = self._take(fault)
        environment.off += (
            {Mishap.CLOCK_AHEAD: JUMP_SECONDS, Mishap.CLOCK_BACK: -JUMP_SECONDS}.get(fault, 0.0) if fault else 0.0
        )
        self.tell(f"invocation {self._invocations} in environment {environment.number}: {self._changes(records)}")
        first = self.number_of(records[0]["dynamodb"]["SequenceNumber"])
        outer, self._runs = self._runs, Process(self, first, environment)
        process = self._runs
        outcome = self._outcome(process, records)
        self._runs = outer
        if process.ended is None:
            self._idle.append(environment)
        self._look(outcome)
        return outcome

    def _outcome(self, process: Process, records: Sequence[Mapping[str, Any]]) -> InvocationOutcome:
        outcome: InvocationOutcome
        try:
            answer = process.environment.handler({"Records": copy.deepcopy(list(records))}, process)
            outcome = Answered(json.loads(json.dumps(answer)))
            told = self._answer(outcome.payload)
        except Killed:
            outcome = FunctionError("Crash")
            told = "ends"
        except (ConfigurationError, InvalidEvent) as mistake:
            self.error = self.error or mistake  # of the test: an effect that no sink takes, a record of another table
            return FunctionError(type(mistake).__name__)
        except Exception as error:
            outcome = FunctionError(type(error).__name__)
            told = f"raises {type(error).__name__}: {error}"
        if process.ended is not None:
            outcome = process.ended
            told = "runs into its timeout" if isinstance(outcome, TimedOut) else "is dead"
        self._last = told
        self.tell(f"  the function {told}")
        return outcome

    def _answer(self, payload: Any) -> str:
        """Put the answer of the function into words."""
        failures = payload.get("batchItemFailures") if isinstance(payload, dict) else None
        if not failures:
            return "answers that all is done"
        names = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
        return f"answers that it failed at change {', '.join(str(self.number_of(str(name))) for name in names)}"

    def _take(self, fault: Mishap | None) -> Environment:
        if self._idle and fault is not Mishap.COLD:
            return self._idle.pop(0 if fault is Mishap.OTHER else -1)
        self._environments += 1
        started = self._trial.start()
        handler = self.services.settled(started) if isinstance(started, Worker) else started
        return Environment(self._environments, handler)

    def _look(self, outcome: InvocationOutcome) -> None:
        """See whether something is wrong after an process."""
        always = getattr(self._trial, "always", None)
        if always is not None and self.error is None:
            self._ask_trial(always)
        most = _MOST_INVOCATIONS * (1 + self._schedule.length)
        if self._invocations > most and self.error is None:
            self.error = SimulationFailed(
                f"wanted all changes to be done after {most} invocations, and the last of them {self._last}"
            )
