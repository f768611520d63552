"""Entries sent in batches: cut to the size of a call, sent, read one by one, isolated, sent again.

SNS, SQS and EventBridge take up to ten entries in a call, each with its own answer. A `Service` says what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tablestream.dynamodb.client import attempt
from tablestream.dynamodb.errors import ErrorKind, Failed, UnreadableAnswerError, kind_of_code
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Permanent, Transient

MAX_ENTRIES = 10
"""Entries that PublishBatch, SendMessageBatch and PutEvents take."""
SUSPICIOUS = 10
"""Where a service finds all of so many entries invalid, it is hardly the entries."""
_RETRIES = 4
_HOPELESS = {ErrorKind.INVALID, ErrorKind.CONFIGURATION}

Answers = dict[int, Answer]
"""Answers by the places of the entries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a call."""

    content: Mapping[str, Any]
    """The entry as the service takes it, but for its id."""
    size: int
    """The bytes that count against the service's limit."""


Batch = Mapping[int, Entry]
"""The entries of a call, by their places."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that takes entries."""

    name: str
    """The name in errors."""
    max_bytes: int
    """The size of a call, and of an entry."""
    send: Callable[[Batch], Answers]
    """Makes a call and reads its answer: one answer for each entry. Raises what the client raises."""


def send_all(service: Service, entries: Sequence[Entry], run: Run) -> Sequence[Answer]:
    """Send entries; return one answer for each, in order.

    A call whose outcome is unknown is repeated: these services deliver at least once. An entry that fails a whole call
    is found, and the others go through. Where none of many entries is taken, it is taken for a mistake in the
    configuration, and nothing becomes a dead letter.
    """
    calls = [partial(_send, service, batch, run) for batch in _batches(entries, service.max_bytes)]
    answers = {place: answer for part in run.parallel.run(calls) for place, answer in part.items()}
    answers = _doubted(service, answers)
    return [answers[place] for place in range(len(entries))]


def read_by_id(service: str, batch: Batch, done: Iterable[Any], failed: Iterable[Any]) -> Answers:
    """Read the answer of SNS or SQS, whose entries have ids; nobody knows what became of one that is not told once."""
    told: list[tuple[str, Answer]] = [(entry["Id"], DONE) for entry in done]
    told += [(entry["Id"], refusal(service, entry["Code"], sender=bool(entry.get("SenderFault")))) for entry in failed]
    times = Counter([entry_id for entry_id, _ in told])
    answers = {entry_id: answer for entry_id, answer in told if times[entry_id] == 1}
    return {place: answers.get(str(place), untold(service)) for place in batch}


def untold(service: str) -> Transient:
    """Return the answer for an entry that the service's answer does not speak of, or speaks of twice."""
    return Transient(UnreadableAnswerError(f"wanted one answer of {service} for each entry, got none or several"))


def refusal(service: str, code: str, *, sender: bool) -> Answer:
    """Return the answer for an entry that was refused; `sender` says whether the service holds it against the entry."""
    kind = kind_of_code(code, ErrorKind.INVALID if sender else ErrorKind.THROTTLE)
    if kind is ErrorKind.INVALID:
        return Permanent(f"{service} does not take the entry: {code}")
    return Transient(EntryFailedError(code, kind))


class EntryFailedError(Exception):
    """A service refused one entry of a call."""

    def __init__(self, code: str, kind: ErrorKind) -> None:
        """Take the service's error code and its kind."""
        super().__init__(code)
        self.kind = kind


def _batches(entries: Sequence[Entry], max_bytes: int) -> Iterable[Batch]:
    """Cut entries into calls of at most ten entries and the service's size."""
    batch: dict[int, Entry] = {}
    size = 0
    for place, entry in enumerate(entries):
        if batch and (len(batch) == MAX_ENTRIES or size + entry.size > max_bytes):
            yield batch
            batch, size = {}, 0
        batch[place] = entry
        size += entry.size
    if batch:
        yield batch


def _send(service: Service, batch: Batch, run: Run) -> Answers:
    answers: Answers = {}
    left = dict(batch)
    failure = Failed(TimeoutError("the deadline came before this effect"), ErrorKind.THROTTLE)
    for _ in run.attempts(_RETRIES):
        if run.deadline.expired:
            break
        answer = attempt(partial(service.send, left))
        if isinstance(answer, Failed):
            failure = answer
            if failure.kind in _HOPELESS:
                break
        else:
            answers |= answer
        left = {place: entry for place, entry in left.items() if not _is_final(answers.get(place))}
        if not left:
            break
    if failure.kind is ErrorKind.INVALID and left:
        return answers | _isolate(service, left, failure.error, run)
    return dict.fromkeys(left, Transient(failure.error)) | answers


def _isolate(service: Service, batch: Batch, error: Exception, run: Run) -> Answers:
    """Find the entry that fails the whole call, and let the others through."""
    if len(batch) == 1:
        return dict.fromkeys(batch, Permanent(f"{service.name} does not take the entry: {error}"))
    parts = [_send(service, {place: entry}, run) for place, entry in batch.items()]
    return {place: answer for part in parts for place, answer in part.items()}


def _is_final(answer: Answer | None) -> bool:
    """Tell whether an entry need not be sent again in this invocation."""
    if isinstance(answer, Transient):
        return isinstance(answer.error, EntryFailedError) and answer.error.kind is ErrorKind.CONFIGURATION
    return answer is not None


def _doubted(service: Service, answers: Answers) -> Answers:
    permanent = [answer.reason for answer in answers.values() if isinstance(answer, Permanent)]
    if len(permanent) < SUSPICIOUS or len(permanent) < len(answers):
        return answers
    return dict.fromkeys(answers, Transient(ValueError(f"{service.name} takes none of the entries: {permanent[0]}")))
