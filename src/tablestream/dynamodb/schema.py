"""`Schema`: the keys and indexes of a table, and items between plain values and type tags by its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from tablestream.dynamodb.client import encode
from tablestream.dynamodb.errors import InvalidRequest, ItemTooLarge, Misconfigured, Unavailable
from tablestream.dynamodb.items import MAX_ITEM_BYTES, Key, item_bytes
from tablestream.dynamodb.requests.checks import check_mapping, kind_of_value
from tablestream.dynamodb.requests.values import Tagging, tag_item
from tablestream.errors import InvalidRecord
from tablestream.image import plain

KeyLike = Mapping[str, Any] | Key
"""A key: its attributes by name, or a `Key` with its table."""

MAX_PARTITION_BYTES = 2048
MAX_SORT_BYTES = 1024


class Nulls(Enum):
    """The meaning of an attribute that is None."""

    DROP = "it is not written; an update removes it"
    KEEP = "it is written as DynamoDB's NULL"


class Index(NamedTuple):
    """The key attributes of an index, global or local: the one that an access pattern asks for."""

    partition: str
    sort: str | None = None
    local: bool = False
    """Whether the index is local: DynamoDB then reads whole items, whatever the index holds of them."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of its key attributes."""
        return (self.partition,) if self.sort is None else (self.partition, self.sort)


class KeyRule(NamedTuple):
    """The type tag of a key attribute, and the bytes that it may take."""

    tag: str
    most: int


_TAGS: Mapping[type, str] = {str: "S", int: "N", Decimal: "N", bytes: "B"}
_DROPPING, _KEEPING = Tagging(drop_nulls=True), Tagging()


class Schema(NamedTuple):
    """Keys, indexes and rules of a table, as far as its client has to know them."""

    name: str
    primary: Index
    indexes: Mapping[str, Index]
    rules: Mapping[str, KeyRule]
    """The rule of each key attribute, of the table and of its indexes."""
    nulls: Nulls
    version: str
    """The attribute that counts the changes of an item."""

    @classmethod
    def of(
        cls, name: str, key: str | Sequence[str], indexes: Mapping[str, Index], types: Mapping[str, type], **rest: Any
    ) -> Schema:
        """Put a schema together; a key attribute is text unless `types` says otherwise."""
        primary = _primary(name, key)
        _check_parts(indexes, types, **rest)
        rules: dict[str, KeyRule] = {}
        for index in (primary, *indexes.values()):
            for attribute, most in zip(index.attributes, (MAX_PARTITION_BYTES, MAX_SORT_BYTES), strict=False):
                before = rules.get(attribute, KeyRule("", most))
                rules[attribute] = KeyRule(_TAGS[types.get(attribute, str)], min(most, before.most))
        return cls(name, primary, indexes, rules, **rest)

    @property
    def tagging(self) -> Tagging:
        """The way in which items are written."""
        return _DROPPING if self.nulls is Nulls.DROP else _KEEPING

    def key(self, given: KeyLike) -> dict[str, Any]:
        """Return a key with type tags; raises `InvalidRequest` for what can be no key of the table."""
        if isinstance(given, Key):
            if given.table != self.name:
                raise InvalidRequest(f"wanted a key of the table {self.name}, got one of {given.table}")
            given = dict(given.attributes)
        check_mapping("key", given)
        if set(given) != set(self.primary.attributes):
            wanted = " and ".join(self.primary.attributes)
            raise InvalidRequest(f"key of {self.name}: wanted {wanted}, got {', '.join(map(str, given)) or 'nothing'}")
        return self._checked(tag_item(given))

    def key_of_any(self, given: KeyLike) -> tuple[str, dict[str, Any]]:
        """Return the table and the key with type tags; a `Key` may be of another table, of which nothing is known."""
        if isinstance(given, Key) and given.table != self.name:
            return given.table, given.tagged()
        return self.name, self.key(given)

    def item(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item with type tags; raises `InvalidRequest` for one that DynamoDB would not take."""
        check_mapping("item", given)
        made = self._checked(tag_item(given, self.tagging))
        check_size(made)
        return made

    def _checked(self, made: dict[str, Any]) -> dict[str, Any]:
        for name in self.primary.attributes:
            if name not in made:
                raise InvalidRequest(f"{name}: wanted a value for the key of {self.name}, got none")
        for name, rule in self.rules.items():
            if name in made:
                check_key_value(name, made[name], rule)
        return made

    def key_of(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return the key that is in an item with type tags."""
        return {name: item[name] for name in self.primary.attributes}

    def plain(self, item: Any) -> dict[str, Any]:
        """Return an item that came as an answer with plain values."""
        try:
            return plain(item)
        except (InvalidRecord, AttributeError):
            raise Unavailable(f"{self.name}: wanted an item in the answer, got what is none") from None


def _primary(name: object, key: str | Sequence[str]) -> Index:
    """Return the key attributes of a table; raises `Misconfigured` for what can be none."""
    if not isinstance(name, str) or not name:
        raise Misconfigured(f"name: wanted the name of a table, got {kind_of_value(name or None)}")
    names = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, tuple | list) else ()
    if not 1 <= len(names) <= _KEY_ATTRIBUTES or not all(isinstance(one, str) and one for one in names):
        raise Misconfigured(f"key: wanted the names of one or two attributes, got {kind_of_value(key)}")
    return Index(names[0], names[1] if len(names) > 1 else None)


_KEY_ATTRIBUTES = 2


def _check_parts(indexes: object, types: object, *, nulls: object, version: object) -> None:
    """Refuse settings of a table that are none."""
    for name, index in indexes.items() if isinstance(indexes, Mapping) else [("the table", indexes)]:
        if not isinstance(index, Index):
            raise Misconfigured(f"indexes: wanted Index(…) for {name}, got {kind_of_value(index)}")
    for name, kind in types.items() if isinstance(types, Mapping) else [("the table", types)]:
        if not isinstance(kind, type) or kind not in _TAGS:
            raise Misconfigured(f"types: wanted str, int, Decimal or bytes for {name}, got {kind_of_value(kind)}")
    if not isinstance(nulls, Nulls):
        raise Misconfigured(f"nulls: wanted Nulls.DROP or Nulls.KEEP, got {kind_of_value(nulls)}")
    if not isinstance(version, str) or not version:
        raise Misconfigured(f"version: wanted the name of an attribute, got {kind_of_value(version or None)}")


def check_key_value(name: str, tagged: Mapping[str, Any], rule: KeyRule) -> None:
    """Refuse a value with its type tag that a key attribute cannot have."""
    ((tag, value),) = tagged.items()
    if tag != rule.tag:
        raise InvalidRequest(f"{name}: wanted a key attribute of type {rule.tag}, got {tag}")
    if tag != "N":
        # The number of letters tells enough of a short text.
        size = len(value) if tag == "B" or len(value) * 4 <= rule.most else len(value.encode("utf-8", "surrogatepass"))
        if not 1 <= size <= rule.most:
            raise InvalidRequest(f"{name}: wanted 1 to {rule.most} bytes in a key attribute, got {size}")


def check_size(*parts: Mapping[str, Any]) -> None:
    """Refuse what is larger than an item may be."""
    for part in parts:
        # As JSON nothing takes fewer bytes than in a table, and JSON is quickly made.
        if len(encode(part)) > MAX_ITEM_BYTES and (size := item_bytes(part)) > MAX_ITEM_BYTES:
            raise ItemTooLarge(f"wanted an item of at most {MAX_ITEM_BYTES} bytes, got {size}", size)
