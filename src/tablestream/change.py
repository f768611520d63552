"""`Change`: one record of the stream, what it says about an item."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from tablestream.errors import InvalidRecord, describe
from tablestream.image import Image, same_value

RawRecord = Mapping[str, Any]

TTL_PRINCIPAL = "dynamodb.amazonaws.com"
"""Who removes expired items (DynamoDB developer guide, "DynamoDB Streams and Time to Live")."""


class Kind(StrEnum):
    """What happened to the item."""

    INSERT = "INSERT"
    MODIFY = "MODIFY"
    REMOVE = "REMOVE"


_AWS_EVENT_ID = 32
_PARTITION_AND_SORT = 2
_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KINDS = {kind.value: kind for kind in Kind}


class Change:
    """One change of one item, over the raw record.

    `old` and `new` are the images before and after; `new` is None for a REMOVE, `old` for an INSERT. Not a dataclass:
    one is made for each routed record, and everything that not every handler reads is worked out when it is read.
    """

    __slots__ = ("event_id", "kind", "new", "old", "record", "sequence_number")

    def __init__(self, record: RawRecord, kind: Kind, old: Image | None, new: Image | None) -> None:
        """Use `Change.from_record`, which checks the record."""
        self.record = record
        self.kind = kind
        self.old = old
        self.new = new
        self.sequence_number: str = record["dynamodb"]["SequenceNumber"]
        self.event_id: str = event_id_of(record)

    @classmethod
    def from_record(cls, record: RawRecord) -> Change:
        """Make a change of a raw record of a Lambda event.

        Raises `InvalidRecord` when the event name is unknown or an image that this kind of change has is missing: the
        stream must have the view type NEW_AND_OLD_IMAGES.
        """
        kind = kind_of(record)
        stream = record["dynamodb"]
        old = None if kind is Kind.INSERT else _image_of(stream, "OldImage", kind)
        new = None if kind is Kind.REMOVE else _image_of(stream, "NewImage", kind)
        return cls(record, kind, old, new)

    @property
    def image(self) -> Image:
        """The item as the change left it, or as it was last when it has been removed."""
        image = self.new if self.new is not None else self.old
        if image is None:  # pragma: no cover -- from_record makes no such change
            raise InvalidRecord("the record has no image")
        return image

    @property
    def raw_keys(self) -> Mapping[str, Any]:
        """The item's primary key with its type tags, as DynamoDB's API takes it."""
        keys = self.record["dynamodb"].get("Keys")
        if type(keys) is not dict or not keys:
            raise InvalidRecord(f"wanted the item's Keys, got {describe(keys)}")
        return keys

    @property
    def keys(self) -> Image:
        """The item's primary key."""
        return Image(self.raw_keys)

    @property
    def item_key(self) -> Hashable:
        """The identity of the item for ordering: its table and its full primary key."""
        return item_key_of(self.record)

    @property
    def key_hash(self) -> str:
        """A short hash of the item's identity, which logs can carry where the key itself may be personal data."""
        return key_hash_of(self.record)

    @property
    def expired(self) -> bool:
        """Whether Time to Live removed the item."""
        who = self.record.get("userIdentity")
        return self.kind is Kind.REMOVE and isinstance(who, dict) and who.get("principalId") == TTL_PRINCIPAL

    @property
    def redriven(self) -> bool:
        """Whether an operator sent the record again after it was set aside; later changes may be applied already."""
        return self.record.get("redriven") is True

    @property
    def replayed(self) -> bool:
        """Whether an operator sent the item as it was found in the table, as if it had just been inserted."""
        return self.record.get("replayed") is True

    @property
    def approximate_creation(self) -> float | None:
        """When the change was made, in seconds since the epoch as the stream gives it; None when missing or absurd."""
        return creation_of(self.record)

    def changed(self, *names: str) -> bool:
        """Tell whether any of the attributes differs between the old and the new image, comparing raw values."""
        old = self.old.raw if self.old is not None else {}
        new = self.new.raw if self.new is not None else {}
        return any(not same_value(old.get(name), new.get(name)) for name in names)

    def __repr__(self) -> str:
        """Leave out keys and images: they may be personal data."""
        return f"Change({self.kind.value}, event_id={self.event_id!r}, sequence_number={self.sequence_number!r})"


def _image_of(stream: Mapping[str, Any], name: str, kind: Kind) -> Image:
    raw = stream.get(name)
    if type(raw) is not dict:
        raise InvalidRecord(f"wanted {name} on {kind.value}, got {describe(raw)}")
    return Image(raw)


def kind_of(record: RawRecord) -> Kind:
    """Return what the record's eventName says; raises `InvalidRecord` for an unknown one."""
    name = record.get("eventName")
    kind = _KINDS.get(name) if type(name) is str else None
    if kind is None:
        raise InvalidRecord(f"wanted eventName INSERT, MODIFY or REMOVE, got {describe(name)}")
    return kind


def event_id_of(record: RawRecord) -> str:
    """Return the record's event id; its sequence number stands in for one that cannot name a stored object."""
    event_id = record.get("eventID")
    if type(event_id) is str:
        # AWS's own are 32 hexadecimal digits: spare them the pattern.
        if event_id.isalnum() and event_id.isascii() and len(event_id) <= _AWS_EVENT_ID:
            return event_id
        if _EVENT_ID.fullmatch(event_id):
            return event_id
    sequence_number: str = record["dynamodb"]["SequenceNumber"]
    return sequence_number


def is_sent_again(record: RawRecord) -> bool:
    """Tell whether an operator sent the record: no checkpoint of a stream remembers how far he came."""
    return record.get("redriven") is True or record.get("replayed") is True


def is_silent(record: RawRecord) -> bool:
    """Tell whether only idempotent effects are wanted: a replay repeats no others unless it says `"notify": true`."""
    return record.get("replayed") is True and record.get("notify") is not True


def item_key_of(record: RawRecord) -> Hashable:
    """Return the identity of the record's item; raises `InvalidRecord` when its Keys are missing or no scalars."""
    keys: Any = record["dynamodb"].get("Keys") or None  # an item without keys has no identity: it must not share a lane
    table = table_arn_of(record)
    try:
        identity = (table, *sorted([(name, *tagged.items()) for name, tagged in keys.items()]))
        hash(identity)
    except (AttributeError, TypeError):
        raise InvalidRecord(f"wanted the item's Keys, got {describe(keys)}") from None
    return identity


def item_keys_of(records: Sequence[RawRecord]) -> Callable[[RawRecord], Hashable]:
    """Return what tells the identities of these records' items: `item_key_of`, or what takes a fifth of its time.

    Nearly always all records are of one table with a partition and a sort key, and their keys look like those of the
    first; those that do not are left to `item_key_of`, whose identities never equal the others.
    """
    keys = records[0]["dynamodb"].get("Keys") if records else None
    if type(keys) is not dict or len(keys) != _PARTITION_AND_SORT or len(table_arns_of(records)) > 1:
        return item_key_of
    try:
        ((one, ((tag_one, _),)), (two, ((tag_two, _),))) = [(name, tagged.items()) for name, tagged in keys.items()]
    except (AttributeError, ValueError):
        return item_key_of

    def quickly(record: RawRecord) -> Hashable:
        keys = record["dynamodb"].get("Keys")
        try:
            first, second = keys[one], keys[two]
            if len(keys) == _PARTITION_AND_SORT and len(first) == len(second) == 1:
                identity = first[tag_one], second[tag_two]
                if type(identity[0]) is type(identity[1]) is str:
                    return identity
        except (KeyError, TypeError):
            pass
        return item_key_of(record)

    return quickly


def key_hash_of(record: RawRecord) -> str:
    """Return a short hash of the item's identity, for logs."""
    try:
        identity = repr(item_key_of(record))
    except InvalidRecord:
        return "invalid-key"
    return hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest()[:12]


def table_arn_of(record: RawRecord) -> str:
    """Return the ARN of the record's table, which the ARN of its stream begins with."""
    arn = record.get("eventSourceARN")
    return arn.partition("/stream/")[0] if type(arn) is str else ""


def table_arns_of(records: Iterable[RawRecord]) -> set[str]:
    """Return the ARNs of the records' tables, in nearly every batch one."""
    streams = {arn if type(arn := record.get("eventSourceARN")) is str else "" for record in records}
    return {arn.partition("/stream/")[0] for arn in streams}


def creation_of(record: RawRecord) -> float | None:
    """Return ApproximateCreationDateTime in seconds since the epoch; None when missing or absurd."""
    return oldest_creation_of([record])


def oldest_creation_of(records: Iterable[RawRecord]) -> float | None:
    """Return when the oldest of the changes was made, None when that is missing or absurd for all of them."""
    # A set: the stream gives whole seconds, so a batch has few different ones.
    times = {
        created
        for record in records
        if type(created := record["dynamodb"].get("ApproximateCreationDateTime")) in _NUMBERS
    }
    return min([float(created) for created in times if _EARLIEST <= created <= _LATEST], default=None)


_NUMBERS = (int, float)
_EARLIEST = 1_325_376_000.0
"""2012-01-01: DynamoDB did not exist before."""
_LATEST = 4_102_444_800.0
"""2100-01-01: later times are milliseconds or nonsense."""
