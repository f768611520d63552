"""`Services`: the services of one schedule, in memory, at whose calls faults strike; made anew for each schedule."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from botocore.exceptions import ReadTimeoutError

from tablestream._engine.invocation import Invocations, SystemicCheck
from tablestream._engine.waves import Task
from tablestream.aws import NeedsAws
from tablestream.dead_letters import DeadLetter
from tablestream.errors import JournalUnavailable, describe
from tablestream.run import Clock, Run
from tablestream.simulation.process import Killed, Points, Process
from tablestream.simulation.schedule import OF_CALL, OF_HANDLERS, OF_READ, Mishap
from tablestream.sink import DONE, Answer, Done, Effect, Sink, Transient
from tablestream.testing.doubles import MemoryDeadLetters, MemoryJournal, client_error
from tablestream.testing.dynamodb import MemoryDynamoDB
from tablestream.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")

_RECORD_IN_ID = re.compile(r"/[0-9a-f]{32}\.(\d+)/")
"""The sequence number in the id of an effect; see `Effect`."""


class SentEffect(NamedTuple):
    """An effect that a stand-in for a sink of AWS has carried out."""

    sink: str
    value: Any
    id: str


class Services:
    """The surroundings of a worker in one schedule. Mutable: it is what happens."""

    def __init__(self, points: Points, clock: Clock) -> None:
        """Begin with nothing in it."""
        self._points = points
        self.clock = clock
        """The time as the worker sees it; hand it to what wants a clock. `time.time()` tells the same."""
        self.items: dict[tuple[Any, ...], dict[str, Any]] = {}
        """The items of the table as they are now, by the values of their keys."""
        self.tables = MemoryDynamoDB(clock.now)
        """A DynamoDB to look at, and to make tables in; nothing fails here: `dynamodb` is what a worker calls."""
        self.dynamodb: Any = _Client(self.tables, points)
        """The same as a client of boto3, with faults."""
        self.sent: list[SentEffect] = []
        """What the stand-ins for sinks of AWS have carried out: those of an idempotent sink once each."""
        self.journal = MemoryJournal()
        self.dead_letters = MemoryDeadLetters()
        self.impure: str | None = None
        """Says which handler returned other effects for the same change than before, if one did."""
        self._led_to: dict[str, tuple[Sequence[str], str]] = {}

    def remote(self, function: Callable[P, T], name: str | None = None) -> Callable[P, T]:
        """Return a function that is called over a network: it may be refused, or lose its answer, or crash the caller.

        It raises `ConnectionError` when nothing took place, and `TimeoutError` when nobody knows.
        """
        called = name or str(getattr(function, "__name__", "call"))

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._points.call(called, OF_CALL, partial(function, *args, **kwargs), _no_connection, TimeoutError)

        return call

    def settled(self, worker: Worker) -> Callable[[object, Any], object]:
        """Return the worker's handler in this schedule, as after a cold start."""
        return Invocations(
            worker.tested().on(self._instead),
            journal=_Journal(self.journal, self._points),
            dead_letters=_DeadLetters(self.dead_letters, self._points),
            run=Run(clock=self.clock, parallel=_InOrder()),
            margin_seconds=None,
            observe=lambda _report: None,
            check=_Check(self._points, self._led),
        ).answer

    def _instead(self, sink: Sink) -> Sink:
        """Return a sink at whose effects faults strike; one of AWS that has no client is stood in for."""
        unconnected = isinstance(sink, NeedsAws) and getattr(sink, "_client", None) is None
        return _Struck(_StandIn(sink, self.sent) if unconnected else sink, self._points)

    def _led(self, task: Task) -> None:
        """Note what handlers have returned for a change, and whether that is what they returned before."""
        now = [task.name_of(place) for place in range(len(task.values))], ", ".join(map(describe, task.values))
        before = self._led_to.setdefault(task.key, now)
        if before[0] != now[0] and self.impure is None:
            number = self._points.course.number_of(task.record["dynamodb"]["SequenceNumber"])
            first, later = before[1] or "nothing", now[1] or "nothing"
            self.impure = (
                f"wanted handlers to return the same effects for the same change, got for change {number} "
                f"first {first}, then {later}"
            )


def fresh(module: str) -> Any:
    """Return a module as a new process has it: its code is run again, and what it keeps at module level is new.

    Classes of it are other ones than those of the module that the test has imported: compare what they hold.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"wanted a module that can be imported, got {describe(module)}", name=module)
    made = importlib.util.module_from_spec(spec)
    before: ModuleType | None = sys.modules.get(module)
    sys.modules[module] = made  # dataclasses look there while the code runs
    try:
        spec.loader.exec_module(made)
    finally:
        if before is not None:
            sys.modules[module] = before
        else:
            del sys.modules[module]
    return made


def _no_connection(name: str) -> Exception:
    return ConnectionError(f"{name}: refused")


def _refused_by_aws(name: str) -> Exception:
    return client_error("ThrottlingException", name)


def _unanswered_by_aws(_name: str) -> Exception:
    return ReadTimeoutError(endpoint_url="https://dynamodb.test/")


class _InOrder:
    """Calls one after the other; a crash in one of them is the end of all."""

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]


class _Client:
    """A client of boto3 for the DynamoDB in memory, at whose calls faults strike."""

    def __init__(self, tables: MemoryDynamoDB, points: Points) -> None:
        self._tables = tables
        self._points = points

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        serve = getattr(self._tables, operation)
        kinds = OF_READ if "get" in operation else OF_CALL

        def call(**request: Any) -> Any:
            return self._points.call(operation, kinds, partial(serve, **request), _refused_by_aws, _unanswered_by_aws)

        return call


class _StandIn:
    """Stands for a sink of AWS: it remembers. What is idempotent is remembered once."""

    def __init__(self, sink: Sink, sent: list[SentEffect]) -> None:
        self.name, self.takes, self.idempotent = sink.name, sink.takes, sink.idempotent
        self._sent = sent

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        for effect in effects:
            sent = SentEffect(self.name, effect.value, effect.id)
            if not (self.idempotent and any(one.id == sent.id for one in self._sent)):
                self._sent.append(sent)
        return [DONE] * len(effects)


class _Struck:
    """A sink at whose effects faults strike, one by one; those between two faults it gets in one call."""

    def __init__(self, sink: Sink, points: Points) -> None:
        self.name, self.takes, self.idempotent = sink.name, sink.takes, sink.idempotent
        self._sink = sink
        self._points = points

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        process = self._points.course.running
        if process is None:
            raise Killed
        answers: list[Answer] = []
        waiting: list[Effect[Any]] = []
        for effect in effects:
            fault = self._points.reach(self.name, process, self._change_of(effect), OF_CALL)
            if fault is None:
                waiting.append(effect)
                continue
            answers += self._carry_out(waiting, run)
            waiting = []
            answers += self._with(fault, effect, process, run)
        return [*answers, *self._carry_out(waiting, run)]

    def _with(self, fault: Mishap, effect: Effect[Any], process: Process, run: Run) -> Sequence[Answer]:
        """Carry out an effect at which a fault strikes."""
        self._points.begin(fault, process)
        if fault is Mishap.REFUSED:
            return [Transient(_no_connection(self.name))]
        answers = self._carry_out([effect], run, struck=True)
        self._points.end(fault, process)
        return [Transient(TimeoutError(self.name))] if fault is Mishap.NO_ANSWER else answers

    def _carry_out(self, effects: Sequence[Effect[Any]], run: Run, *, struck: bool = False) -> Sequence[Answer]:
        if not effects:
            return []
        try:
            answers = self._sink.apply(effects, run)
        except Exception as error:
            answers = [Transient(error)] * len(effects)
        for effect, answer in zip(effects, answers, strict=False):
            if struck and isinstance(answer, Done):
                continue  # the fault's own words say that it takes place
            self._points.course.tell(f"  {self.name} of change {self._change_of(effect)}: {_told(answer)}")
        return answers

    def _change_of(self, effect: Effect[Any]) -> int:
        found = _RECORD_IN_ID.search(effect.id)
        return self._points.course.number_of(found[1]) if found else 0


def _told(answer: Answer) -> str:
    if isinstance(answer, Transient):
        return f"not done, {type(answer.error).__name__}: {answer.error}"
    return "done" if isinstance(answer, Done) else f"can never be done: {answer.reason}"


class _Journal:
    """The journal, at whose calls faults strike."""

    def __init__(self, journal: MemoryJournal, points: Points) -> None:
        self._journal = journal
        self._points = points

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:
        serve = partial(self._journal.read, keys, run)
        try:
            return self._points.call("reading the journal", OF_READ, serve, JournalUnavailable, JournalUnavailable)
        except JournalUnavailable:
            return {}

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        serve = partial(self._journal.record, done, run)
        self._points.call("writing the journal", OF_CALL, serve, JournalUnavailable, JournalUnavailable)


class _DeadLetters:
    """The dead letters, at whose calls faults strike."""

    def __init__(self, letters: MemoryDeadLetters, points: Points) -> None:
        self._letters = letters
        self._points = points

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        for letter in letters:
            number = self._points.course.number_of(letter.sequence_number)
            self._points.course.tell(f"  change {number} is a dead letter: {letter.reason}")
        serve = partial(self._letters.store, letters, run)
        return self._points.call("storing a dead letter", OF_CALL, serve, _no_connection, TimeoutError)

    def key(self, letter: DeadLetter) -> str:
        return self._letters.key(letter)


class _Check:
    """Judges batches as in production; `led` is told what the handlers have returned for each change."""

    def __init__(self, points: Points, led: Callable[[Task], None]) -> None:
        self._systemic = SystemicCheck()
        self._points = points
        self._led = led

    def judge(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.poison is None:
                self._led(task)
        self._systemic.judge(tasks)
        process = self._points.course.running
        if process is not None:
            self._points.end(self._points.reach("the handlers", process, process.change, OF_HANDLERS), process)
