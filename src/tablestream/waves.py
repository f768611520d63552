"""Waves: the heads of all lanes together, then the seconds of all lanes, and so on.

Within a wave everything may run side by side. A lane whose head failed is held back: its later records are not
applied, so two changes of one item never swap. Different items never wait for each other's failures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, get_args

from tablestream._version import __version__
from tablestream.batch import Poison, Task
from tablestream.clock import Clock, Deadline
from tablestream.dead_letters import DeadLetter, DeadLetters
from tablestream.effects import Answer, Done, Permanent, Sink, Transient
from tablestream.errors import JournalUnavailable
from tablestream.report import Outcome

_ANSWERS = frozenset(get_args(Answer))
_APPLIED = Outcome.APPLIED
_DONE = {Done}


class Claim:
    """What the records of a wave want of a sink: the effects, and for each the record and what the journal calls it."""

    __slots__ = ("effects", "names", "tasks")

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.effects: list[Any] = []
        self.names: list[str] = []
        """Empty until they are asked for; "" for an effect that the journal need not know."""


class Waves:
    """Carries out the effects of a batch."""

    def __init__(self, sinks: Sequence[Sink], dead_letters: DeadLetters, clock: Clock) -> None:
        """Take the sinks in the order in which they get their effects; the clock dates the dead letters."""
        self._sinks = sinks
        self._dead_letters = dead_letters
        self._clock = clock

    def run(self, heads: Sequence[Task], queues: Sequence[Sequence[Task]], deadline: Deadline, *, blank: bool) -> None:
        """Settle the outcome of every task; a task without an outcome afterwards is held back.

        `heads` are the first changes of all lanes, `queues` the lanes of several.
        `blank` says that the journal could be read and knows nothing of any of them, as nearly always.
        """
        wave, lanes, position = heads, queues, 0
        while wave and not deadline.expired:
            self._run_wave(wave, deadline, blank=blank)
            position += 1
            lanes = [
                lane for lane in lanes if len(lane) > position and lane[position - 1].outcome is not Outcome.FAILED
            ]
            wave = [lane[position] for lane in lanes]

    def done_of(self, task: Task) -> frozenset[str]:
        """Return what the journal calls the effects of a record that are done."""
        return task.done if task.outcome is not Outcome.APPLIED else self._names_before(task, len(self._sinks))

    def _names_before(self, task: Task, index: int) -> frozenset[str]:
        """Name the effects that a record has for the sinks before one."""
        owners = Counter([owner for owner, _ in task.effects])
        journalled = [(sink, owners[place]) for place, sink in enumerate(self._sinks[:index]) if not sink.idempotent]
        return frozenset([effect_name(sink, ordinal) for sink, count in journalled for ordinal in range(count)])

    def _run_wave(self, wave: Sequence[Task], deadline: Deadline, *, blank: bool) -> None:
        # As long as nothing has failed in this wave and the journal knows nothing, all that is wanted is left to do.
        smooth = blank
        for index, (sink, wanted) in enumerate(zip(self._sinks, self._claims(wave), strict=True)):
            claim = wanted if smooth else _left(wanted, sink)
            if claim.tasks:
                smooth = self._run_sink(index, claim, deadline) and smooth
        poisoned: list[Task] = []
        for task in wave:
            if task.outcome is None:
                if task.poison is None:
                    task.outcome = _APPLIED
                else:
                    poisoned.append(task)
        self._store_poison(poisoned, deadline)

    def _claims(self, wave: Sequence[Task]) -> Sequence[Claim]:
        """Sort what the records want by sink."""
        claims = [Claim() for _ in self._sinks]
        added = [(claim.tasks.append, claim.effects.append) for claim in claims]
        for task in wave:
            for index, effect in task.effects:
                add_task, add_effect = added[index]
                add_task(task)
                add_effect(effect)
        return claims

    def _run_sink(self, index: int, claim: Claim, deadline: Deadline) -> bool:
        """Have a sink carry out effects; return whether all of them are done."""
        sink = self._sinks[index]
        answers, done = _checked(lambda: sink.apply(claim.effects, deadline), len(claim.effects))
        if done:
            return True
        for task, name, answer in zip(claim.tasks, claim.names or _names(claim.tasks, sink), answers, strict=True):
            if not isinstance(answer, Done):
                _settle(task, answer, sink)
                task.done |= self._names_before(task, index)
            elif name:
                task.done |= {name}
        return False

    def _store_poison(self, tasks: Sequence[Task], deadline: Deadline) -> None:
        if not tasks:
            return
        now = self._clock.now()
        letters = [_letter_of(task, task.poison, now) for task in tasks if task.poison is not None]
        for task, answer in zip(tasks, self._answers_of_store(letters, deadline), strict=True):
            if isinstance(answer, Done):
                task.outcome = Outcome.POISONED
            else:
                task.fail(answer.error if isinstance(answer, Transient) else RuntimeError(answer.reason))

    def _answers_of_store(self, letters: Sequence[DeadLetter], deadline: Deadline) -> Sequence[Answer]:
        return _checked(lambda: self._dead_letters.store(letters, deadline), len(letters))[0]


def effect_name(sink: Sink, ordinal: int) -> str:
    """Return how the journal names the nth effect that a record has for a sink."""
    return f"{sink.name}:{ordinal}"


def _names(tasks: Sequence[Task], sink: Sink) -> list[str]:
    """Return what the journal calls the effects of a sink, of which a record may have several."""
    if sink.idempotent:
        return [""] * len(tasks)
    seen: Counter[Task] = Counter()
    names: list[str] = []
    for task in tasks:
        names.append(effect_name(sink, seen[task]))
        seen[task] += 1
    return names


def _left(claim: Claim, sink: Sink) -> Claim:
    """Return a claim less what failed in an earlier sink, and less what the journal knows to be done."""
    left = Claim()
    for task, effect, name in zip(claim.tasks, claim.effects, _names(claim.tasks, sink), strict=True):
        if task.poison is not None or task.outcome is not None:
            continue
        if name and task.remembered is None:
            task.fail(JournalUnavailable("the journal could not be read, so the effect may be done already"))
        elif not name or name not in (task.remembered or ()):
            left.tasks.append(task)
            left.effects.append(effect)
            left.names.append(name)
    return left


def _checked(call: Callable[[], Sequence[Answer]], wanted: int) -> tuple[Sequence[Answer], bool]:
    """Return the answers of a call, and whether all are `Done`.

    An exception, or anything but `wanted` answers, is transient for all.
    """
    try:
        answers = list(call())
    except Exception as error:  # noqa: BLE001 -- a sink is the user's: whatever it raises, its records are redelivered
        return [Transient(error)] * wanted, False
    kinds = {*map(type, answers)}
    if len(answers) != wanted or not _ANSWERS.issuperset(kinds):
        got = ", ".join(sorted({kind.__name__ for kind in kinds}))
        return [
            Transient(RuntimeError(f"wanted {wanted} answers of the sink, got {len(answers)}: {got}"))
        ] * wanted, False
    return answers, kinds == _DONE


def _settle(task: Task, answer: Transient | Permanent, sink: Sink) -> None:
    if isinstance(answer, Transient):
        task.fail(answer.error)
    else:
        task.poison = Poison(answer.reason, answer.error_class, sink.name)


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
