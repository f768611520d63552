"""Waves: the heads of all lanes together, then the seconds of all lanes, and so on.

Within a wave everything may run side by side. A lane whose head failed is held back: its later records are not
applied, so two changes of one item never swap. Different items never wait for each other's failures. Several effects
of one record for one sink are carried out in turns, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from tablestream._engine.intake import Poison, Task
from tablestream._version import __version__
from tablestream.dead_letters import DeadLetter, DeadLetters
from tablestream.errors import JournalUnavailable
from tablestream.report import RecordState
from tablestream.run import Run
from tablestream.sink import Answer, Done, Sink, Transient

_ANSWERS = frozenset(get_args(Answer))
_DONE = {Done}
_LEFT_FOR_OTHERS = 0.25
"""The share of the time that is left which a sink must leave to the other sinks that are still needed."""


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
        for index in range(len(self._sinks)):
            waiting = [task for task in wave if task.done < len(task.sinks)]
            turn = self._next_turn(index, waiting)
            while turn:
                others = [task for task in waiting if task.sinks[-1] != index]
                self._run_sink(index, turn, run, late, alone=last and not others)
                turn = self._next_turn(index, waiting)
        poisoned: list[Task] = []
        for task in wave:
            if task.state is None:
                if task.poison is None:
                    task.state = RecordState.APPLIED
                else:
                    poisoned.append(task)
        self._store_poison(poisoned, run)

    def _next_turn(self, index: int, waiting: Sequence[Task]) -> list[Task]:
        """Return the tasks whose next effect is one for a sink, and not known to be done."""
        for_journal = not self._sinks[index].idempotent
        for task in waiting:
            if for_journal and task.remembered != _NO_NAMES and _is_open(task):
                _pass_over(task, index)
        return [
            task
            for task in waiting
            if _is_open(task) and task.done < len(task.sinks) and task.sinks[task.done] == index
        ]

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
        lent = run if alone else run.until(run.deadline.less(_LEFT_FOR_OTHERS))
        effects = [task.effect(task.done) for task in turn]
        answers, all_done = _checked(lambda: sink.apply(effects, lent), len(effects))
        if lent.deadline.expired:
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


_NO_NAMES: frozenset[str] = frozenset()


def _is_open(task: Task) -> bool:
    return task.state is None and task.poison is None


def _pass_over(task: Task, index: int) -> None:
    """Pass over the next effects of a task that the journal knows to be done.

    Where the journal could not be read, the task fails: an effect of it may be done already.
    """
    while task.done < len(task.sinks) and task.sinks[task.done] == index:
        if task.remembered is None:
            task.fail(JournalUnavailable("the journal could not be read, so the effect may be done already"))
            return
        if task.name_of(task.done) not in task.remembered:
            return
        task.done += 1
        task.known += 1


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
