"""Waves: the heads of all lanes together, then the seconds of all lanes, and so on.

Within a wave everything may run side by side. A lane whose head failed is held back: its later records are not
applied, so two changes of one item never swap. Different items never wait for each other's failures. Several effects
of one record for one sink are carried out in turns, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, get_args

from tablestream._version import __version__
from tablestream.change import RawRecord, key_hash_of
from tablestream.dead_letters import DeadLetter, DeadLetters
from tablestream.errors import JournalUnavailable, error_class_of, note_place, place_of, without_frames
from tablestream.report import RecordOutcome, RecordState
from tablestream.router import Route
from tablestream.run import Run
from tablestream.sink import Answer, Done, Effect, Sink, Transient, key_of

_NO_NAMES: frozenset[str] = frozenset()
_ANSWERS = frozenset(get_args(Answer))
_DONE = {Done}
_LEFT_FOR_OTHERS = 0.25
"""The share of the time that is left which a sink must leave to the other sinks that are still needed."""


class Poison(NamedTuple):
    """The reason why a record can never be processed."""

    reason: str
    error_class: str
    handler: str | None = None
    """The handler that raised, or the sink that gave up; None when no handler was called."""
    unexpected: bool = False
    """Whether a handler raised something that does not say that the record is bad."""
    suspicious: bool = False
    """Whether the code is at fault if it happens for most records: unexpected, or an attribute is not there."""
    error: BaseException | None = None
    """The exception of the handler, until the batch has been judged."""
    where: str = ""
    """The file, the line and the function that raised it."""

    def judged(self) -> Poison:
        """Return the reason without the exception, which refers to the whole event by way of its frames."""
        return self if self.error is None else self._replace(error=None)


class NamesEffects(Protocol):
    """The consumer of the stream, as far as the names of its effects need it."""

    @property
    def name(self) -> str:
        """The name of the consumer."""
        ...

    @property
    def sinks(self) -> Sequence[Sink]:
        """The sinks, in the order in which they get their effects."""
        ...


class Task:
    """A record that somebody wants, its effects in the order in which they are carried out, and how far that has come.

    One is made for each routed record. All attributes are set when it is made: those of the class take longer to read.
    """

    def __init__(self, record: RawRecord, event_id: str, routes: Sequence[Route], consumer: NamesEffects) -> None:
        self.record = record
        self.event_id = event_id
        self.routes = routes
        self.key = f"{consumer.name}/{event_id}.{record['dynamodb']['SequenceNumber']}"
        """The key of the record in the journal: which consumer, which record. Emulators repeat event ids."""
        self._consumer = consumer
        self.values: list[Any] = []
        """What the handlers returned. An `Effect` refers to its task, so it is made when a sink gets it: kept here, the
        two would be a cycle, which only the garbage collector frees, with the whole record."""
        self.sinks: list[int] = []
        """For each value the place of its sink, never smaller than the one before."""
        self.done = 0
        """How many effects are done, from the first on: nothing is carried out behind one that failed."""
        self.remembered: frozenset[str] | None = _NO_NAMES
        """The names of the effects that the journal knows to be done already; None when it could not be read."""
        self.known = 0
        """How many effects were passed over because the journal knew them."""
        self.poison: Poison | None = None
        self.state: RecordState | None = None
        self.error: BaseException | None = None
        self.dead_letter = ""
        """The key of the dead letter, if one is stored."""

    @property
    def sequence(self) -> int:
        """The sequence number, to be compared; most tasks are never asked for it."""
        return int(self.record["dynamodb"]["SequenceNumber"])

    def name_of(self, place: int) -> str:
        """Return the name of an effect among those of this record: sink / key, with a number among equals."""
        sink = self.sinks[place]
        key = key_of(self.values[place])
        first = self.sinks.index(sink)
        equal = sum([key_of(self.values[before]) == key for before in range(first, place)])
        return f"{self._consumer.sinks[sink].name}/{key}{f'~{equal + 1}' if equal else ''}"

    def done_names(self) -> frozenset[str]:
        """Return the names of the effects that are done and must not be repeated."""
        sinks = self._consumer.sinks
        return frozenset([self.name_of(at) for at in range(self.done) if not sinks[self.sinks[at]].idempotent])

    def add(self, sink: int, value: object) -> None:
        """Add an effect behind those of the same and of earlier sinks."""
        sinks = self.sinks
        if not sinks or sinks[-1] <= sink:
            sinks.append(sink)
            self.values.append(value)
            return
        place = len(sinks)
        while place and sinks[place - 1] > sink:
            place -= 1
        sinks.insert(place, sink)
        self.values.insert(place, value)

    @property
    def item(self) -> str:
        """A hash of the identity of the item."""
        return key_hash_of(self.record)

    def id_of(self, place: int) -> str:
        """Return the id of one of the effects."""
        return f"{self.key}/{self.name_of(place)}"

    def keep(self, places: Iterable[int]) -> None:
        """Drop all effects but those at these places."""
        kept = list(places)
        self.values, self.sinks = [self.values[at] for at in kept], [self.sinks[at] for at in kept]

    def fail(self, error: BaseException) -> None:
        """Leave the record to redelivery, because of an error."""
        self.state = RecordState.FAILED
        note_place(error)
        self.error = without_frames(error)

    def record_outcome(self) -> RecordOutcome:
        """Return what became of the record."""
        sequence_number = self.record["dynamodb"]["SequenceNumber"]
        state = self.state or RecordState.HELD_BACK
        error_class, reason, where = "", "", ""
        if state is RecordState.POISONED and self.poison:
            error_class, reason, where = self.poison.error_class, self.poison.reason, self.poison.where
        elif self.error is not None:
            error_class, reason, where = error_class_of(self.error), str(self.error), place_of(self.error)
        key_hash = key_hash_of(self.record)
        return RecordOutcome(
            self.event_id, sequence_number, key_hash, state, error_class, reason, self.dead_letter, where
        )


class Waves:
    """Carries out the effects of a batch."""

    def __init__(self, sinks: Sequence[Sink], dead_letters: DeadLetters) -> None:
        """Take the sinks in the order in which they get their effects."""
        self._sinks = sinks
        self._dead_letters = dead_letters

    def run(self, heads: Sequence[Task], queues: Sequence[Sequence[Task]], run: Run) -> None:
        """Settle the outcome of every task; a task without an outcome afterwards is held back.

        `heads` are the first changes of all lanes, `queues` the lanes of several.
        """
        wave, lanes, position = heads, queues, 0
        late: set[int] = set()  # sinks that have used up the time they were given: the others need what is left
        while wave and not run.deadline.expired:
            position += 1
            self._run_wave(wave, run, late, last=all(len(lane) <= position for lane in lanes))
            lanes = [
                lane for lane in lanes if len(lane) > position and lane[position - 1].state is not RecordState.FAILED
            ]
            wave = [lane[position] for lane in lanes]

    def _run_wave(self, wave: Sequence[Task], run: Run, late: set[int], *, last: bool) -> None:
        waiting: list[list[Task]] = [[] for _ in self._sinks]  # for each sink the tasks whose next effect it takes
        self._queue(wave, waiting)
        for index in range(len(self._sinks)):
            while turn := waiting[index]:
                waiting[index] = []
                others = any(waiting) or any(task.sinks[-1] != index for task in turn)
                self._run_sink(index, turn, run, late, alone=last and not others)
                self._queue(turn, waiting)
        poisoned: list[Task] = []
        applied = RecordState.APPLIED
        for task in wave:
            if task.state is None:
                if task.poison is None:
                    task.state = applied
                else:
                    poisoned.append(task)
        self._store_poison(poisoned, run)

    def _queue(self, tasks: Iterable[Task], waiting: Sequence[list[Task]]) -> None:
        """Put each task that goes on to those that wait for the sink of its next effect."""
        for task in tasks:
            if task.remembered is not _NO_NAMES:
                self._pass_over(task)
            if task.done < len(task.sinks) and task.state is None and task.poison is None:
                waiting[task.sinks[task.done]].append(task)

    def _pass_over(self, task: Task) -> None:
        """Pass over the next effects of a task that the journal knows to be done.

        Where the journal could not be read, the task fails: an effect of it may be done already.
        """
        while (
            task.done < len(task.sinks)
            and task.state is None
            and task.poison is None
            and not self._sinks[task.sinks[task.done]].idempotent
        ):
            if task.remembered is None:
                task.fail(JournalUnavailable("the journal could not be read, so the effect may be done already"))
            elif task.name_of(task.done) in task.remembered:
                task.done += 1
                task.known += 1
            else:
                return

    def _run_sink(self, index: int, turn: Sequence[Task], run: Run, late: set[int], *, alone: bool) -> None:
        """Have a sink carry out the next effect of each task.

        While other sinks are needed too, or another wave comes, the sink gets a part of the time only, so that one that
        hangs delays what needs it and nothing else; and when that is used up, no more of it in this invocation.
        """
        sink = self._sinks[index]
        if index in late and not alone:
            for task in turn:
                task.fail(TimeoutError(f"the sink {sink.name} has used up its time in this invocation"))
            return
        lent = run if alone else run.less(_LEFT_FOR_OTHERS)
        effects = [Effect(task.values[task.done], task, task.done) for task in turn]
        answers, all_done = _checked(lambda: sink.apply(effects, lent), len(effects))
        if not alone and lent.deadline.expired:
            late.add(index)
        if all_done:
            for task in turn:
                task.done += 1
            return
        for task, answer in zip(turn, answers, strict=True):
            if isinstance(answer, Done):
                task.done += 1
            elif isinstance(answer, Transient):
                task.fail(answer.error)
            else:
                task.poison = Poison(answer.reason, answer.error_class, sink.name)

    def _store_poison(self, tasks: Sequence[Task], run: Run) -> None:
        if not tasks:
            return
        now = run.clock.now()
        letters = [_letter_of(task, task.poison, now) for task in tasks if task.poison is not None]
        answers, _ = _checked(lambda: self._dead_letters.store(letters, run), len(letters))
        for task, letter, answer in zip(tasks, letters, answers, strict=True):
            if isinstance(answer, Done):
                task.state = RecordState.POISONED
                task.dead_letter = self._dead_letters.key(letter)
            else:
                task.fail(answer.error if isinstance(answer, Transient) else RuntimeError(answer.reason))


def _checked(call: Callable[[], Sequence[Answer]], wanted: int) -> tuple[Sequence[Answer], bool]:
    """Return the answers of a call, and whether all are `Done`.

    An exception, or anything but `wanted` answers, is transient for all.
    """
    try:
        answers = list(call())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 -- a sink is the user's: whatever it raises, its records are redelivered
        return [Transient(error)] * wanted, False
    kinds = {*map(type, answers)}
    if len(answers) != wanted or not _ANSWERS.issuperset(kinds):
        got = ", ".join(sorted({kind.__name__ for kind in kinds}))
        return [
            Transient(RuntimeError(f"wanted {wanted} answers of the sink, got {len(answers)}: {got}"))
        ] * wanted, False
    return answers, kinds == _DONE


def _letter_of(task: Task, poison: Poison, now: float) -> DeadLetter:
    return DeadLetter(
        record=task.record,
        event_id=task.event_id,
        sequence_number=task.record["dynamodb"]["SequenceNumber"],
        reason=poison.reason,
        error_class=poison.error_class,
        handler=poison.handler,
        time=now,
        worker_version=__version__,
    )
