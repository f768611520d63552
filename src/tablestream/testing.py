"""For tests, ours and our users': exact Lambda records from plain dicts, and stand-ins that answer questions.

from tablestream.testing import event, inserted

response = handler(event(inserted({"pk": "USER#1", "sk": "ORDER#1", "entityType": "Order"})), FakeContext())
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tablestream.change import TTL_PRINCIPAL
from tablestream.clock import Deadline
from tablestream.dead_letters import DeadLetter
from tablestream.effects import DONE, Answer, Done
from tablestream.errors import JournalUnavailable

Item = Mapping[str, Any]
Record = dict[str, Any]

TABLE = "orders"
CREATED = 1_763_640_000.0
"""When records are made unless told otherwise: 2025-11-20T12:00:00Z."""

_FIRST_SEQUENCE_NUMBER = 100_000_000_000_000_000_001


@dataclass(frozen=True, slots=True)
class Raw:
    """A value to be put into an image as it is, to plant what DynamoDB would never write: `Raw({"N": "NaN"})`."""

    value: Any


def tagged(value: object) -> Any:  # noqa: PLR0911 -- one return a type tag
    """Return a plain value with its type tag, as a Lambda event carries it (binary values as base64 text)."""
    if isinstance(value, Raw):
        return value.value
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float | Decimal):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": _base64(value)}
    if isinstance(value, Mapping):
        return {"M": image(value)}
    if isinstance(value, set | frozenset):
        return _set(value)
    if isinstance(value, Sequence):
        return {"L": [tagged(entry) for entry in value]}
    raise TypeError(f"no DynamoDB type for {type(value).__name__}")


def image(item: Item) -> dict[str, Any]:
    """Return a plain item as a raw image."""
    return {name: tagged(value) for name, value in item.items()}


def _set(values: set[Any] | frozenset[Any]) -> dict[str, list[str]]:
    if all(isinstance(value, str) for value in values):
        return {"SS": sorted(values)}
    if all(isinstance(value, bytes) for value in values):
        return {"BS": sorted(map(_base64, values))}
    return {"NS": sorted(map(str, values))}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def inserted(item: Item, **settings: Any) -> Record:
    """Return the record of a new item. `settings` are those of `record`."""
    return record("INSERT", item, new=item, **settings)


def modified(old: Item, new: Item, **settings: Any) -> Record:
    """Return the record of a modified item. `settings` are those of `record`."""
    return record("MODIFY", new, old=old, new=new, **settings)


def removed(item: Item, **settings: Any) -> Record:
    """Return the record of a removed item. `settings` are those of `record`."""
    return record("REMOVE", item, old=item, **settings)


def expired(item: Item, **settings: Any) -> Record:
    """Return the record of an item that Time to Live removed. `settings` are those of `record`."""
    return {**removed(item, **settings), "userIdentity": {"type": "Service", "principalId": TTL_PRINCIPAL}}


def record(  # noqa: PLR0913 -- each is a field of the record
    name: str,
    item: Item,
    *,
    old: Item | None = None,
    new: Item | None = None,
    keys: Sequence[str] = ("pk", "sk"),
    sequence_number: int | str | None = None,
    at: float = CREATED,
    table: str = TABLE,
    view: str = "NEW_AND_OLD_IMAGES",
) -> Record:
    """Return a record of a Lambda event, with every field that AWS sends.

    `keys` names the attributes of the primary key, `at` is ApproximateCreationDateTime in seconds since the epoch.
    Without a `sequence_number` the record gets the next one when it is put into an `event`.
    """
    images = {label: image(side) for label, side in (("NewImage", new), ("OldImage", old)) if side is not None}
    stream: dict[str, Any] = {
        "ApproximateCreationDateTime": at,
        "Keys": {key: tagged(item[key]) for key in keys if key in item},
        **images,
        "SequenceNumber": str(_FIRST_SEQUENCE_NUMBER if sequence_number is None else sequence_number),
        "SizeBytes": sum(len(json.dumps(side)) for side in images.values()),
        "StreamViewType": view,
    }
    made = {
        "eventID": "",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": stream,
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2025-01-01T00:00:00.000",
    }
    return _identified(made)


def _identified(made: Record) -> Record:
    """Give the record an event id that follows from its content."""
    content = json.dumps({**made, "eventID": ""}, sort_keys=True)
    return {**made, "eventID": hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}


def event(*records: Record) -> dict[str, list[Record]]:
    """Return a Lambda event of the records.

    Records without a sequence number of their own get consecutive ones. The same record object given twice stays the
    same record: a duplicate.
    """
    numbered: dict[int, Record] = {}
    for position, made in enumerate(records):
        numbered.setdefault(id(made), _numbered(made, position))
    return {"Records": [copy.deepcopy(numbered[id(made)]) for made in records]}


def _numbered(made: Record, position: int) -> Record:
    if made["dynamodb"]["SequenceNumber"] != str(_FIRST_SEQUENCE_NUMBER) or position == 0:
        return made
    stream = {**made["dynamodb"], "SequenceNumber": str(_FIRST_SEQUENCE_NUMBER + position)}
    return _identified({**made, "dynamodb": stream})


class FakeClock:
    """A clock that moves only when told, or by sleeping."""

    def __init__(self, now: float = CREATED) -> None:
        """Start at `now`, in seconds since the epoch."""
        self._now = now
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by some seconds and remember that."""
        self.slept.append(seconds)
        self._now += seconds

    def advance(self, seconds: float) -> None:
        """Move on by some seconds."""
        self._now += seconds


class FakeContext:
    """A Lambda context whose time runs by a clock."""

    function_name = "worker"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:worker"
    aws_request_id = "00000000-0000-0000-0000-000000000001"

    def __init__(self, timeout_seconds: float = 60.0, clock: FakeClock | None = None) -> None:
        """Begin an invocation now, that Lambda would end after `timeout_seconds`."""
        self.clock = clock or FakeClock()
        self._ends = self.clock.now() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return max(0, round((self._ends - self.clock.now()) * 1000))


class MemoryJournal:
    """A journal in memory. Set `down` to have it fail, add to `unreadable` to lose single entries."""

    def __init__(self) -> None:
        """Begin empty."""
        self.entries: dict[str, frozenset[str]] = {}
        self.reads: list[tuple[str, ...]] = []
        self.writes: list[dict[str, frozenset[str]]] = []
        self.unreadable: set[str] = set()
        self.down = False

    def read(self, event_ids: Sequence[str], deadline: Deadline) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 -- the protocol's
        """Return the entries of the event ids, those that can be read."""
        self.reads.append(tuple(event_ids))
        if self.down:
            return {}
        return {
            event_id: self.entries.get(event_id, frozenset())
            for event_id in event_ids
            if event_id not in self.unreadable
        }

    def record(self, done: Mapping[str, frozenset[str]], deadline: Deadline) -> None:  # noqa: ARG002 -- the protocol's
        """Keep the entries."""
        if self.down:
            raise JournalUnavailable("the journal is down")
        self.writes.append(dict(done))
        self.entries.update(done)


class MemoryDeadLetters:
    """Dead letters in memory, by event id. Set `failure` to have it answer with something else than done."""

    def __init__(self) -> None:
        """Begin empty."""
        self.letters: dict[str, DeadLetter] = {}
        self.failure: Answer | None = None

    def store(self, letters: Sequence[DeadLetter], deadline: Deadline) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        """Keep the letters."""
        if self.failure is not None:
            return [self.failure] * len(letters)
        self.letters.update({letter.event_id: letter for letter in letters})
        return [DONE] * len(letters)

    @property
    def reasons(self) -> list[str]:
        """The reasons, in the order of storing."""
        return [letter.reason for letter in self.letters.values()]


@dataclass
class RecordingSink:
    """A sink that remembers what it was asked to do; `answer` decides what it says to each effect."""

    takes: tuple[type, ...]
    name: str = "recording"
    idempotent: bool = False
    answer: Callable[[Any], Answer] = lambda _effect: DONE
    waves: list[list[Any]] = field(default_factory=list)
    """The effects of each call."""
    done: list[Any] = field(default_factory=list)
    """The effects that were answered with done, in order."""

    def apply(self, effects: Sequence[Any], deadline: Deadline) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        """Remember the effects and answer for each."""
        self.waves.append(list(effects))
        answers = [self.answer(effect) for effect in effects]
        self.done += [effect for effect, answer in zip(effects, answers, strict=True) if isinstance(answer, Done)]
        return answers

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the effects that were done."""
        return iter(self.done)
