"""Waves: the heads of all lanes together, then the seconds of all lanes, and so on.

Within a wave everything may run side by side. A lane whose head failed is held back: its later records are not
applied, so two changes of one item never swap. Different items never wait for each other's failures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from tablestream._version import __version__
from tablestream.batch import Poison, Task
from tablestream.clock import Clock, Deadline
from tablestream.dead_letters import DeadLetter, DeadLetters
from tablestream.effects import DONE, Answer, Done, Permanent, Sink, Transient
from tablestream.errors import JournalUnavailable
from tablestream.report import Outcome

Claim = tuple[Task, str, Any]
"""A record, what the journal calls one of its effects ("" when the journal need not know it), and the effect."""

_ANSWERS = frozenset(get_args(Answer))


@dataclass(frozen=True, slots=True)
class Waves:
    """Carries out the effects of a batch."""

    sinks: Sequence[Sink]
    dead_letters: DeadLetters
    clock: Clock

    def run(self, lanes: Sequence[Sequence[Task]], deadline: Deadline) -> None:
        """Settle the outcome of every task; a task without an outcome afterwards is held back."""
        position = 0
        while lanes and not deadline.expired:
            self._run_wave([lane[position] for lane in lanes], deadline)
            position += 1
            lanes = [
                lane for lane in lanes if len(lane) > position and lane[position - 1].outcome is not Outcome.FAILED
            ]

    def _run_wave(self, wave: Sequence[Task], deadline: Deadline) -> None:
        for index, sink in enumerate(self.sinks):
            self._run_sink(index, sink, wave, deadline)
        self._store_poison([task for task in wave if task.poison is not None and task.outcome is None], deadline)
        for task in wave:
            if task.outcome is None:
                task.outcome = Outcome.APPLIED

    def _run_sink(self, index: int, sink: Sink, wave: Sequence[Task], deadline: Deadline) -> None:
        claims = _claims(wave, index, sink)
        if not claims:
            return
        answers = _answers_of(sink, [effect for _, _, effect in claims], deadline)
        for (task, name, _), answer in zip(claims, answers, strict=True):
            if answer is not DONE:
                _settle(task, name, answer, sink)
            elif name:
                task.mark_done(name)

    def _store_poison(self, tasks: Sequence[Task], deadline: Deadline) -> None:
        if not tasks:
            return
        now = self.clock.now()
        letters = [_letter_of(task, task.poison, now) for task in tasks if task.poison is not None]
        for task, answer in zip(tasks, self._answers_of_store(letters, deadline), strict=True):
            if isinstance(answer, Done):
                task.outcome = Outcome.POISONED
            else:
                task.fail(answer.error if isinstance(answer, Transient) else RuntimeError(answer.reason))

    def _answers_of_store(self, letters: Sequence[DeadLetter], deadline: Deadline) -> Sequence[Answer]:
        return _checked(lambda: self.dead_letters.store(letters, deadline), len(letters))


def effect_name(sink: Sink, ordinal: int) -> str:
    """Return how the journal names the nth effect that a record has for a sink."""
    return f"{sink.name}:{ordinal}"


def _claims(wave: Sequence[Task], index: int, sink: Sink) -> list[Claim]:
    """Return what the records of a wave want of a sink, less what the journal knows to be done."""
    ready = [task for task in wave if task.poison is None and task.outcome is None]
    if sink.idempotent:
        return [(task, "", effect) for task in ready for owner, effect in task.effects if owner == index]
    first = effect_name(sink, 0)
    claims: list[Claim] = []
    for task in ready:
        mine = [effect for owner, effect in task.effects if owner == index]
        if len(mine) == 1 and task.remembered is not None and not task.remembered:  # as nearly always: spare the list
            claims.append((task, first, mine[0]))
        elif mine:
            claims += _unjournalled(task, mine, sink)
    return claims


def _unjournalled(task: Task, effects: Sequence[Any], sink: Sink) -> Sequence[Claim]:
    if task.remembered is None:
        task.fail(JournalUnavailable("the journal could not be read, so the effect may be done already"))
        return ()
    named = [(task, effect_name(sink, ordinal), effect) for ordinal, effect in enumerate(effects)]
    return [claim for claim in named if claim[1] not in task.remembered]


def _answers_of(sink: Sink, effects: Sequence[Any], deadline: Deadline) -> Sequence[Answer]:
    return _checked(lambda: sink.apply(effects, deadline), len(effects))


def _checked(call: Callable[[], Sequence[Answer]], wanted: int) -> Sequence[Answer]:
    """Return the answers of a call; an exception, or anything but `wanted` answers, is transient for all."""
    try:
        answers = list(call())
    except Exception as error:  # noqa: BLE001 -- a sink is the user's: whatever it raises, its records are redelivered
        return [Transient(error)] * wanted
    if len(answers) != wanted or not _ANSWERS.issuperset(map(type, answers)):
        got = ", ".join(sorted({type(answer).__name__ for answer in answers}))
        return [Transient(RuntimeError(f"wanted {wanted} answers of the sink, got {len(answers)}: {got}"))] * wanted
    return answers


def _settle(task: Task, name: str, answer: Answer, sink: Sink) -> None:
    if isinstance(answer, Done):
        if name:
            task.mark_done(name)
    elif isinstance(answer, Transient):
        task.fail(answer.error)
    else:
        task.poison = Poison(answer.reason, Permanent.__name__, sink.name)


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
