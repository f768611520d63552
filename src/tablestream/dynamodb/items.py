"""Keys of items, and sizes of items in bytes as DynamoDB counts them.

The size of an item is the sum of its attributes: the UTF-8 bytes of each name, and of its value

- text (S): its UTF-8 bytes; binary (B): the bytes that the base64 text stands for
- a number (N): one byte for each two digits and one more; a negative number one more still; zero is one byte
- BOOL and NULL: one byte
- a list or map (L, M): three bytes, one for each member, and the names and values of the members
- a set (SS, NS, BS): its members, nothing around them

Digits pair from the decimal point on, without the zeros at either end: 12 takes two bytes, 1.5 takes three.

The rules are those of AWS's page on item sizes (CapacityUnitCalculations in the developer guide), which calls the size
of a number an approximation. How digits pair and what a minus adds was measured on DynamoDB Local 1.25.1. The totals of
records that AWS sent are in `tests/unit/tablestream/dynamodb/test_items.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

Item = Mapping[str, Any]
"""An item or a part of it as DynamoDB JSON: `{"pk": {"S": "USER#1"}}`."""

KeyValue = str | int | Decimal
"""The value of a key attribute: text, or a number."""

MAX_ITEM_BYTES = 400 * 1024


class Key(NamedTuple):
    """The primary key of an item, with its table."""

    table: str
    attributes: tuple[tuple[str, KeyValue], ...]
    """Names and values, sorted by name."""

    @classmethod
    def of(cls, table: str, attributes: Mapping[str, KeyValue]) -> Key:
        """Return a key of attributes in whatever order."""
        return cls(table, tuple(sorted(attributes.items())))

    @classmethod
    def in_item(cls, item: Item, like: Key) -> Key:
        """Return the key of an item of the same table as another key; raises `KeyError` where it lacks an attribute."""
        return cls(like.table, tuple([(name, _plain(item[name])) for name, _ in like.attributes]))

    def tagged(self) -> dict[str, Any]:
        """Return the key attributes as DynamoDB's API takes them."""
        return {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in self.attributes}


def _plain(tagged: Mapping[str, Any]) -> KeyValue:
    return str(tagged["S"]) if "S" in tagged else Decimal(tagged["N"])


_COLLECTION = 3
_MEMBER = 1


def record_bytes(keys: Item, new: Item | None, old: Item | None) -> int:
    """Return SizeBytes of a stream record: its Keys and those images that it carries, so keys count more than once."""
    return sum(map(item_bytes, (keys, new or {}, old or {})))


def item_bytes(item: Item) -> int:
    """Return the size of an item or of a part of it.

    Binary values are base64 text, as in a Lambda event, or bytes, as boto3 gives them. A value that DynamoDB would not
    write counts nothing, so that a test can plant one in a record.
    """
    total = sum(map(_text_bytes, item))
    waiting = list(item.values())  # not by recursion: what a test plants may be nested as deep as it likes
    while waiting:
        value = waiting.pop()
        total += _own_bytes(value)
        waiting += _inner(value)
    return total


def _own_bytes(value: Any) -> int:
    """Return what a value takes without the values that it holds."""
    match value:
        case {"S": str(text)}:
            size = _text_bytes(text)
        case {"N": str(number)}:
            size = _number_bytes(number)
        case {"B": str() | bytes() as binary}:
            size = _binary_bytes(binary)
        case {"BOOL": bool()} | {"NULL": bool()}:
            size = 1
        case {"M": Mapping() as members}:
            size = _COLLECTION + sum(_MEMBER + _text_bytes(name) for name in members)
        case {"L": list(entries)}:
            size = _COLLECTION + _MEMBER * len(entries)
        case _:
            size = 0
    return size


def _inner(value: Any) -> Iterable[Any]:
    """Return the values that a list, map or set holds."""
    match value:
        case {"M": Mapping() as members}:
            return members.values()
        case {"L": list(entries)}:
            return entries
        case {"SS": list(texts)}:
            return [{"S": text} for text in texts]
        case {"NS": list(numbers)}:
            return [{"N": number} for number in numbers]
        case {"BS": list(binaries)}:
            return [{"B": binary} for binary in binaries]
        case _:
            return ()


def _text_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _binary_bytes(value: str | bytes) -> int:
    """Return the bytes of a binary value; of base64 text, four letters stand for three bytes less the padding."""
    if isinstance(value, bytes):
        return len(value)
    return len(value) * 3 // 4 - value.count("=")


def _number_bytes(text: str) -> int:
    """Return the bytes of a number, which is kept in digits to the base of 100."""
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        return 0
    if not isinstance(exponent, int):  # NaN and infinity
        return 0
    written = "".join(map(str, digits)).lstrip("0")
    significant = written.rstrip("0")
    if not significant:
        return 1
    lowest = exponent + len(written) - len(significant)
    highest = exponent + len(written) - 1
    return highest // 2 - lowest // 2 + 1 + 1 + sign
