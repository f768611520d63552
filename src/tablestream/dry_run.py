"""A worker that shows what it would carry out, one line an effect, and calls nobody.

For events on one's own machine: the lines hold what the records hold, personal data too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tablestream._engine.intake import Consumer
from tablestream._engine.invocation import Invocations, Response, answer_of
from tablestream.dead_letters import DeadLetter
from tablestream.report import RecordState, Report
from tablestream.run import LambdaContext, Run
from tablestream.sink import DONE, Answer, Effect, Sink, answer_to


def _say(line: str) -> None:
    """Write a line to standard output, which the SAM CLI shows."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class DryRunSink:
    """Stands for a sink: says each effect in a line and answers that it is done."""

    name: str
    takes: tuple[type, ...]
    idempotent: bool = False
    show: Callable[[Any], str] = str
    """Puts an effect into words; what it raises is answered as a sink answers it, `InvalidRecord` as permanent."""

    @classmethod
    def of(cls, sink: Sink) -> DryRunSink:
        """Stand for a sink, which itself is asked nothing; one that is of this kind stands for itself."""
        return sink if isinstance(sink, cls) else cls(sink.name, sink.takes, sink.idempotent)

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        """Say the effects."""
        return [self._answer(effect.value) for effect in effects]

    def _answer(self, value: object) -> Answer:
        try:
            shown = self.show(value)
        except Exception as error:  # noqa: BLE001 -- as in a sink: it concerns this effect only
            return answer_to(error)
        _say(f"  {self.name}: {shown}")
        return DONE


class _Journal:
    """Knows nothing, and says what it would have to remember."""

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:
        return dict.fromkeys(keys, frozenset())

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        for names in done.values():
            _say(f"  journal: {len(names)} done of a record that may come again")


class _DeadLetters:
    """Says which records would be stored, and why."""

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        for letter in letters:
            _say(f"  dead letter: {letter.event_id}: {letter.reason} ({letter.handler or 'before any handler'})")
        return [DONE] * len(letters)

    def key(self, letter: DeadLetter) -> str:
        return letter.event_id


def _ignore(_report: Report) -> None:
    """Observe nothing."""


class DryRun:
    """Call it like a worker, with Lambda's event and context: it answers and raises what the worker would.

    `Worker.dry_run` makes one.
    """

    def __init__(self, consumer: Consumer, *, because: str) -> None:
        """Take the handlers with what stands for the sinks; `because` says why nothing is carried out."""
        self._invocations = Invocations(
            consumer,
            journal=_Journal(),
            dead_letters=_DeadLetters(),
            run=Run(),
            margin_seconds=None,
            observe=_ignore,
        )
        self._because = because

    def __call__(self, event: object, context: LambdaContext | None = None) -> Response:
        """Say what the event would lead to."""
        _say(f"Dry run: {self._because}. Shown, not carried out (it may be personal data):")
        report, error = self._invocations.process(event, context)
        if error is not None:
            raise error
        for outcome, why in _NOTHING.items():
            if count := report.count(outcome):
                _say(f"  nothing to do: {_of(count, report)}, {why}")
        return answer_of(event, report)


_NOTHING = {
    RecordState.SKIPPED: "which no handler wants",
    RecordState.DUPLICATE: "which stand in the event before",
}


def _of(count: int, report: Report) -> str:
    return f"{count} of {report.records} record{'' if report.records == 1 else 's'}"
