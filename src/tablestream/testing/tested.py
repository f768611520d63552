"""`TestedWorker`: a worker for a test, on sinks, a journal and dead letters in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tablestream._engine.intake import Consumer
from tablestream._engine.invocation import Invocations, Response
from tablestream._engine.waves import Task
from tablestream.dead_letters import DeadLetter
from tablestream.errors import ConfigurationError, InvalidEvent, TablestreamError
from tablestream.report import Report
from tablestream.run import Run
from tablestream.sink import Sink
from tablestream.testing.doubles import FakeClock, FakeContext, MemoryDeadLetters, MemoryJournal, RecordingSink
from tablestream.testing.records import Record, event


@dataclass(frozen=True, slots=True)
class Tested:
    """The outcome of the records that a test has sent."""

    __test__ = False  # or pytest takes it for a class of tests

    effects: list[Any]
    """The effects that were carried out, in the order in which that happened: sink by sink."""
    dead_letters: list[DeadLetter]
    """The records that can never be processed, with the reason."""
    response: Response | None
    """The worker's answer; None when the invocation ended with an error."""
    error: TablestreamError | None
    """The error that the invocation ended with."""
    report: Report


class TestedWorker:
    """A worker whose sinks only remember; `sinks` has them by name, to say how they answer.

    An exception of a handler is raised as it is, unless it means a bad record: that is a dead letter.
    """

    __test__ = False  # likewise

    def __init__(self, consumer: Consumer, sinks: Sequence[Sink]) -> None:
        """Take the worker's handlers and the sinks that are stood in for."""
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.dead_letters = MemoryDeadLetters()
        doubles = [RecordingSink(sink.takes, sink.name, idempotent=sink.idempotent, log=self._note) for sink in sinks]
        self.sinks = {double.name: double for double in doubles}
        self._effects: list[Any] = []
        self._reports: list[Report] = []
        self._consumer, self._real = consumer, sinks
        self._invocations = Invocations(
            _on(consumer, doubles),
            journal=self.journal,
            dead_letters=self.dead_letters,
            run=Run(clock=self.clock),
            margin_seconds=None,
            observe=self._reports.append,
            check=_RaisesUnexpected(),
        )
        self._sent: list[Record] = []

    def on(self, instead: Callable[[Sink], Sink]) -> Consumer:
        """Return the worker on what `instead` returns for each of its own sinks, as a simulation has it."""
        return _on(self._consumer, [instead(sink) for sink in self._real])

    def _note(self, effect: object) -> None:
        self._effects.append(effect)

    def send(self, *records: Record, timeout_seconds: float = 60.0) -> Tested:
        """Send records as one batch; return what became of them.

        Raises what a handler raises, `ValueError` for what is no record, and what a record of another table or an
        effect without a sink leads to.

        Their sequence numbers go on from the last call; a record that was sent before is delivered again.
        """
        self._effects, stored = [], set(self.dead_letters.letters)
        sent = [*self._sent, *records]
        whole = {"Records": event(*sent)["Records"][len(self._sent) :]}
        self._sent = sent
        response: Response | None = None
        error: TablestreamError | None = None
        try:
            response = self._invocations.answer(whole, FakeContext(timeout_seconds, self.clock))
        except (ConfigurationError, InvalidEvent):
            raise  # the test's own mistake: a record of another table, an effect that no sink takes
        except TablestreamError as raised:
            error = raised
        new = [letter for key, letter in self.dead_letters.letters.items() if key not in stored]
        return Tested(self._effects, new, response, error, self._reports[-1])


def _on(consumer: Consumer, sinks: Sequence[Sink]) -> Consumer:
    places = {effect: place for place, sink in enumerate(sinks) for effect in sink.takes}
    return consumer._replace(sinks=tuple(sinks), sink_of=places)


class _RaisesUnexpected:
    """Raises what a handler has raised, instead of judging whether that is the record's fault."""

    def judge(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.poison is not None and task.poison.unexpected and task.poison.error is not None:
                raise task.poison.error
