"""`Change`: one record of the stream, and the item that it speaks of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from tablestream.errors import InvalidRecord, describe
from tablestream.image import Image

T = TypeVar("T")

RawRecord = Mapping[str, Any]
RawImage = Mapping[str, Any]

TTL_PRINCIPAL = "dynamodb.amazonaws.com"
"""The principal that removes expired items (DynamoDB developer guide, "DynamoDB Streams and Time to Live")."""


class Kind(StrEnum):
    """The kinds of change that a stream knows."""

    INSERT = "INSERT"
    MODIFY = "MODIFY"
    REMOVE = "REMOVE"


_AWS_EVENT_ID = 32
_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KINDS = {kind.value: kind for kind in Kind}
_IMAGES = {Kind.INSERT: ("NewImage",), Kind.MODIFY: ("OldImage", "NewImage"), Kind.REMOVE: ("OldImage",)}
_REPLICATION = "aws:rep:"
_REPLICATED_FROM = "aws:rep:updateregion"
_TTL_ATTRIBUTE = "ttl"


class Change:
    """One change of one item, over the raw record.

    One is made for each routed record: what not every handler reads is worked out when it is read.
    """

    def __init__(self, record: RawRecord, event_id: str, kind: Kind) -> None:
        """Use `Change.from_record`, which checks the record; the worker's router has done so already.

        `kind` is what the handler is told: for an item that became another entity, a MODIFY in the stream, it is the
        removal of the one and the insertion of the other.
        """
        self.record = record
        self.event_id = event_id
        self.kind = kind
        self.raw_image: RawImage = record["dynamodb"]["OldImage" if kind is Kind.REMOVE else "NewImage"]
        """The item as the change left it, or as it was last when it has been removed, with its type tags."""
        self._image: Image | None = None
        self._old: Image | None = None

    @classmethod
    def from_record(cls, record: RawRecord) -> Change:
        """Make a change of a raw record of a Lambda event.

        Raises `InvalidRecord` when the event name is unknown or an image that this kind of change has is missing: the
        stream must have the view type NEW_AND_OLD_IMAGES.
        """
        kind, stream = kind_of(record), record["dynamodb"]
        for name in _IMAGES[kind]:
            if type(stream.get(name)) is not dict:
                raise InvalidRecord(f"wanted {name} on {kind.value}, got {describe(stream.get(name))}")
        return cls(record, event_id_of(record), kind)

    @property
    def sequence_number(self) -> str:
        """The place of the change in its shard, as the stream gives it: a whole number as text."""
        number: str = self.record["dynamodb"]["SequenceNumber"]
        return number

    @property
    def image(self) -> Image:
        """The item as the change left it, or as it was last when it has been removed."""
        image = self._image
        if image is None:
            image = self._image = Image(self.raw_image)
        return image

    @property
    def new(self) -> Image:
        """The item after the change; raises `AttributeError` when it has been removed."""
        if self.kind is Kind.REMOVE:
            raise _no_image("new", "a REMOVE has no new image; the item as it was last is change.old")
        return self.image

    @property
    def old(self) -> Image:
        """The item before the change; raises `AttributeError` when it is new."""
        if self.kind is Kind.REMOVE:
            return self.image
        if self.kind is Kind.INSERT:
            raise _no_image("old", "an INSERT has no old image; the item as it is now is change.new")
        if self._old is None:
            self._old = Image(self.record["dynamodb"]["OldImage"])
        return self._old

    def new_as(self, kind: type[T]) -> T:
        """Return the item after the change as an object of a class: see `Image.read_as`."""
        return self.new.read_as(kind)

    def old_as(self, kind: type[T]) -> T:
        """Return the item before the change as an object of a class: see `Image.read_as`."""
        return self.old.read_as(kind)

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
        """Whether Time to Live removed the item.

        The stream says so (`userIdentity`) where the removal was made in the table's own region, but not in a replica
        of a global table. So a removal of which the stream says nothing counts too when the item's attribute `ttl` lay
        in the past: also one that a person made after the item had expired, before Time to Live came to it.
        """
        if self.kind is not Kind.REMOVE:
            return False
        who = self.record.get("userIdentity")
        if isinstance(who, dict):
            return who.get("principalId") == TTL_PRINCIPAL
        return _ttl_had_passed(self.raw_image, creation_of(self.record))

    @property
    def region(self) -> str | None:
        """The region whose stream the record comes from; None when the record does not say."""
        region = self.record.get("awsRegion")
        return region if type(region) is str else None

    @property
    def replicated(self) -> bool:
        """Whether the change was made in another region of a global table, as far as its images tell."""
        return is_replicated(self.record)

    @property
    def redriven(self) -> bool:
        """Whether an operator sent the record again after it was set aside; later changes may be applied already."""
        return self.record.get("redriven") is True

    @property
    def replayed(self) -> bool:
        """Whether an operator sent the item as it was found in the table, as if it had just been inserted."""
        return self.record.get("replayed") is True

    @property
    def sent_again(self) -> bool:
        """Whether an operator sent the record, redriven or replayed: what it tells may be told already, and late."""
        return is_sent_again(self.record)

    @property
    def approximate_creation(self) -> float | None:
        """The time of the change, in seconds since the epoch as the stream gives it; None when missing or absurd."""
        return creation_of(self.record)

    def changed(self, *names: str) -> bool:
        """Tell whether any of the attributes differs between the old and the new image, comparing raw values."""
        stream = self.record["dynamodb"]
        old = {} if self.kind is Kind.INSERT else stream["OldImage"]
        new = {} if self.kind is Kind.REMOVE else stream["NewImage"]
        return any(not same_value(old.get(name), new.get(name)) for name in names)

    def __repr__(self) -> str:
        """Leave out keys and images: they may be personal data."""
        return f"Change({self.kind.value}, event_id={self.event_id!r}, sequence_number={self.sequence_number!r})"


def _no_image(name: str, told: str) -> AttributeError:
    """Return the error for an image that is not there; without an object Python suggests no other name for it."""
    return AttributeError(told, name=name, obj=None)


def kind_of(record: RawRecord) -> Kind:
    """Return the kind that the record's eventName names; raises `InvalidRecord` for an unknown one."""
    name = record.get("eventName")
    kind = _KINDS.get(name) if type(name) is str else None
    if kind is None:
        raise InvalidRecord(f"wanted eventName INSERT, MODIFY or REMOVE, got {describe(name)}")
    return kind


def event_id_of(record: RawRecord) -> str:
    """Return the record's event id; its sequence number stands in for one that cannot name a stored object."""
    event_id = record.get("eventID")
    if type(event_id) is str:
        # AWS's own are 32 hexadecimal digits: spare them the pattern, which takes three times as long.
        if event_id.isascii() and len(event_id) <= _AWS_EVENT_ID and event_id.encode().isalnum():
            return event_id
        if _EVENT_ID.fullmatch(event_id):
            return event_id
    sequence_number: str = record["dynamodb"]["SequenceNumber"]
    return sequence_number


def is_sent_again(record: RawRecord) -> bool:
    """Tell whether an operator sent the record: no checkpoint of a stream remembers how far the sending came."""
    return record.get("redriven") is True or record.get("replayed") is True


def is_quiet_replay(record: RawRecord) -> bool:
    """Tell whether only idempotent effects are wanted: a replay repeats no others unless it says `"notify": true`."""
    return record.get("replayed") is True and record.get("notify") is not True


def is_replicated(record: RawRecord) -> bool:
    """Tell whether a change was made in another region of a global table, as far as its images tell.

    Only tables of the version 2017.11.29 write the attribute `aws:rep:updateregion` into their items.
    """
    stream = record["dynamodb"]
    image = stream.get("NewImage") or stream.get("OldImage")
    tagged = image.get(_REPLICATED_FROM) if type(image) is dict else None
    region = tagged.get("S") if type(tagged) is dict else None
    return type(region) is str and region != record.get("awsRegion")


def is_replication_only(new: RawImage, old: RawImage) -> bool:
    """Tell whether two images differ in what global tables write into items (`aws:rep:…`), and in nothing else."""
    names = [name for name in {*new, *old} if not same_value(new.get(name), old.get(name))]
    return bool(names) and all(type(name) is str and name.startswith(_REPLICATION) for name in names)


def _ttl_had_passed(image: RawImage, removed_at: float | None) -> bool:
    tagged = image.get(_TTL_ATTRIBUTE)
    digits = tagged.get("N") if type(tagged) is dict else None
    if removed_at is None or type(digits) is not str or not digits.isdigit():
        return False
    return len(digits) <= _EPOCH_DIGITS and int(digits) < removed_at


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


def creation_of(record: RawRecord) -> float | None:
    """Return ApproximateCreationDateTime in seconds since the epoch; None when missing or absurd."""
    created = record["dynamodb"].get("ApproximateCreationDateTime")
    return float(created) if type(created) in _NUMBERS and _EARLIEST <= created <= _LATEST else None


_NUMBERS = (int, float)
_EPOCH_DIGITS = 10
"""Digits of a time in seconds since the epoch until the year 2286; more are milliseconds, which expire nothing."""
_EARLIEST = 1_325_376_000.0
"""2012-01-01: DynamoDB did not exist before."""
_LATEST = 4_102_444_800.0
"""2100-01-01: later times are milliseconds or nonsense."""


def same_value(one: Any, other: Any) -> bool:
    """Tell whether two raw values are equal; the order of a set does not matter, a missing value is None."""
    if one == other:
        return True
    if type(one) is not dict or type(other) is not dict or "S" in one or "N" in one:
        return False
    if len(one) != 1 or one.keys() != other.keys():
        return False
    ((tag, left),), right = one.items(), other[next(iter(one))]
    return (
        tag in _SETS
        and type(left) is list
        and type(right) is list
        and sorted(map(str, left)) == sorted(map(str, right))
    )


_SETS = frozenset({"SS", "NS", "BS"})
