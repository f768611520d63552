"""A worker that shows what it would carry out, one line an effect, and calls nobody: for events on one's own machine.

The lines hold what the records hold, personal data too. `sam local` is where a function is run like that by itself:
the template's references are not resolved there, so a function asks the stack that `make local` runs for them, by plain
HTTP under `AWS_ENDPOINT_URL` (`join_stack`). Where no such stack answers nothing can be carried out. None of this is
used where `AWS_SAM_LOCAL` is not set, as it is not in AWS.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

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


LONGEST_WAIT_SECONDS = 5.0
"""The longest wait for an answer: the machine can be busy, or a firewall swallow the question where no stack is."""

_OK = 200
_MOST_BYTES = 1 << 20


def join_stack(environ: MutableMapping[str, str]) -> str | None:
    """Give the environment the variables of the local stack, and return None; where none answers return why not."""
    address = environ.get("AWS_ENDPOINT_URL")
    if (found := stack_variables(environ)) is not None:
        environ.update(found)
        sys.stdout.write(f"Effects are carried out in the stack of `make local`, {address}\n")
        return None
    if not address:
        return "AWS_ENDPOINT_URL names no stack of `make local`"
    return f"`make local` does not answer at {address}"


def stack_variables(environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the variables of this function as the local stack has them; None where no such stack answers.

    Reads `AWS_ENDPOINT_URL` and `AWS_LAMBDA_FUNCTION_NAME` of the environment.
    """
    try:
        endpoint = urlsplit(environ.get("AWS_ENDPOINT_URL", ""))
        port = endpoint.port
    except ValueError:
        return None
    if endpoint.scheme != "http" or not endpoint.hostname:
        return None
    path = "/_tablestream/variables/" + quote(environ.get("AWS_LAMBDA_FUNCTION_NAME", ""), safe="")
    try:
        return _variables(HTTPConnection(endpoint.hostname, port, timeout=LONGEST_WAIT_SECONDS), path)
    except (OSError, HTTPException, ValueError):
        return None


def _variables(connection: HTTPConnection, path: str) -> Mapping[str, str] | None:
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        told = json.loads(response.read(_MOST_BYTES)) if response.status == _OK else None
    finally:
        connection.close()
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        return None
    return told
