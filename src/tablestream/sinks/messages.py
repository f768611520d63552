"""`Message`, made whole by the handler, and the way in which messages and other entries are sent: many in a call.

SNS, SQS and EventBridge take up to ten entries in a call, each with its own answer. Entries are cut to the size of a
call, sent, read one by one, isolated, sent again. A `Service` says what differs.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from tablestream.dynamodb.client import attempt
from tablestream.dynamodb.errors import ErrorKind, Failed, UnreadableAnswerError, kind_of_code
from tablestream.errors import InvalidRecord
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Permanent, Transient

MAX_MESSAGE_BYTES = 262_144
"""The size that SNS and SQS take in one call, a message or a batch: bodies and attributes together."""
_TYPE_BYTES = len("String")


class MessageTooLarge(InvalidRecord):
    """A message is larger than the service takes: its record is poison."""


@dataclass(frozen=True, slots=True)
class Message:
    """Publish a text, or fields as JSON, with attributes that subscribers filter by, each of them a String.

    Fields are told as `plain` describes. Raises `MessageTooLarge`, and `TypeError` that names the field for a value
    that no item holds: in a handler either makes its record poison, before anything has happened.
    """

    body: str | Mapping[str, Any]
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    """The name that tells the message from others of the same record, however it is worded; see `Effect`."""
    text: str = field(init=False, compare=False, repr=False)
    """The body as it is sent."""
    size: int = field(init=False, compare=False, repr=False)
    """The bytes that count against the limit: body, names, types and values of the attributes."""

    def __post_init__(self) -> None:
        """Compose the text and check the size."""
        text = self.body if isinstance(self.body, str) else as_json(self.body)
        attributes = "".join([*self.attributes, *self.attributes.values()])
        size = _bytes(text) + _bytes(attributes) + _TYPE_BYTES * len(self.attributes)
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"wanted a message of at most {MAX_MESSAGE_BYTES} bytes, got {size}")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "size", size)

    def __str__(self) -> str:
        """Return the text, as a dry run shows it."""
        return self.text


def as_json(value: object) -> str:
    """Return a value of an item, or a structure of such values, as JSON text.

    ASCII only: escapes keep hostile text, lone surrogates included, from breaking the message.
    """
    try:
        return _encode(plain(value))
    except TypeError as error:
        place = _unfit(value, "")
        raise TypeError(f"{place}: {error}" if place else str(error)) from None


def _unfit(value: object, place: str) -> str | None:
    """Return the place of the first value that has no JSON form, None where all have."""
    inner: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        inner = [(f"{place}.{name}" if place else name, member) for name, member in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{place}[{position}]", member) for position, member in enumerate(value)]
    else:
        try:
            plain(value)
        except TypeError:
            return place
    return next((found for at, member in inner if (found := _unfit(member, at)) is not None), None)


# `plain` has made it anew, without cycles: looking for some takes a tenth of the time.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


def plain(value: object) -> Any:
    """Return the JSON form of a value of an item: one form for each type of DynamoDB, whatever the value.

    Text, true, false and null are themselves. A number is exact decimal text without exponent: of a bare number a
    reader of JSON may make a binary fraction, and JavaScript rounds whole numbers from 2^53 on. Bytes are base64 text,
    a set is a sorted list; a list and a map are made of these. Raises `TypeError` for what no item holds.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list | tuple | AbstractSet):
        return [plain(member) for member in (sorted(value) if isinstance(value, AbstractSet) else value)]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: plain(member) for name, member in value.items()}
    wanted = "names of text in a map" if isinstance(value, Mapping) else "a Decimal or text"
    raise TypeError(f"a message cannot carry a {type(value).__name__}, wanted {wanted}")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


# --- sending ---------------------------------------------------------------------------------------------------------

MAX_ENTRIES = 10
"""Entries that PublishBatch, SendMessageBatch and PutEvents take."""
SUSPICIOUS = 10
"""Where a service finds all of so many entries invalid, it is hardly the entries."""
_RETRIES = 4
_HOPELESS = {ErrorKind.INVALID, ErrorKind.CONFIGURATION}

Answers = dict[int, Answer]
"""Answers by the places of the entries."""


class Entry(NamedTuple):
    """A part of a call."""

    content: Mapping[str, Any]
    """The entry as the service takes it, but for its id."""
    size: int
    """The bytes that count against the service's limit."""


Batch = Mapping[int, Entry]
"""The entries of a call, by their places."""


class Service(NamedTuple):
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
