"""`Image`: an item image as it comes in the event, each attribute converted when it is first read.

The rules of the types are those of the DynamoDB developer guide ("Supported data types and naming rules"): 38
significant digits, magnitudes from 1E-130 to 9.99E+125, at most 32 levels of nesting, sets that are never empty. In a
Lambda event binary values are base64 text, also inside lists and maps.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import decimal
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from tablestream.errors import InvalidRecord, MissingAttribute, describe

Value = Any
"""str, int, Decimal, bytes, bool, None, list, dict, or a frozenset of str, int | Decimal or bytes."""

T = TypeVar("T")


class Attributes(dict[str, Value]):
    """A map within an item; reading an attribute that it does not have raises `MissingAttribute`."""

    def __missing__(self, name: str) -> Value:
        raise MissingAttribute(name, self, of="map")


_MISSING = object()

MAX_DIGITS = 38
MAX_DEPTH = 32
_MAX_INTEGER_LENGTH = 126
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_to_decimal = decimal.Context(
    prec=MAX_DIGITS,
    Emin=-130,
    Emax=125,
    traps=[decimal.Inexact, decimal.Overflow, decimal.Subnormal, decimal.InvalidOperation],
).create_decimal


class Image(Mapping[str, Value]):
    """A read-only mapping over a raw image, `{"name": {"S": "…"}, …}`.

    Reading an attribute raises `InvalidRecord` when its value is not valid DynamoDB JSON, and `MissingAttribute`, an
    `InvalidRecord` and a `KeyError`, when there is none; `image.get(name)` is for one that may be missing. The names of
    the attributes, their number and membership are answered without converting anything.
    """

    _made: dict[str, Value] | None = None
    """Converted attributes by their names."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        """Take a raw image; it is kept, not copied."""
        self.raw = raw

    def __getitem__(self, name: str) -> Value:
        value = self.get(name, _MISSING)
        if value is _MISSING:
            raise MissingAttribute(name, self.raw)
        return value

    def get(self, name: str, default: Value = None) -> Value:
        """Return an attribute, `default` when it is missing."""
        tagged = self.raw.get(name, _MISSING)
        # Text and whole numbers, most of what is read, are not remembered: looking again takes less time.
        if type(tagged) is dict and len(tagged) == 1:
            if "S" in tagged:
                text = tagged["S"]
                if type(text) is str:
                    return text
            elif "N" in tagged:
                digits = tagged["N"]
                if type(digits) is str and digits.isdigit() and digits.isascii() and len(digits) <= MAX_DIGITS:
                    return int(digits)
        return default if tagged is _MISSING else self._converted(name, tagged)

    def _converted(self, name: str, tagged: object) -> Value:
        if self._made is None:
            self._made = {}
        elif name in self._made:
            return self._made[name]
        try:
            value = self._made[name] = _convert(tagged, 1)
        except InvalidRecord as error:
            raise InvalidRecord(f"attribute {name}: {error}") from None
        return value

    def read_as(self, kind: type[T]) -> T:
        """Return the item as an object of a class that the writer of the table may use as well.

        A class with a class method `from_item` gets the image; a pydantic model is validated; a dataclass gets the
        attributes that its fields name, each checked against a plain type such as `str`, `int | None` or `list[str]`.
        Attributes that the class does not know are left out. Raises `InvalidRecord` for what does not fit.
        """
        reader: Any = kind
        if hasattr(reader, "from_item"):
            made: T = reader.from_item(self)
            return made
        if hasattr(reader, "model_validate"):
            validated: T = reader.model_validate(dict(self))
            return validated
        if not dataclasses.is_dataclass(kind):
            raise TypeError(f"wanted a dataclass, a pydantic model or a class with from_item, got {kind.__name__}")
        hints = typing.get_type_hints(kind)
        wanted = [field for field in dataclasses.fields(kind) if field.init]
        known = {
            field.name: _fitting(self, field.name, hints[field.name]) for field in wanted if field.name in self.raw
        }
        missing = [field.name for field in wanted if field.name not in known and not _has_default(field)]
        if missing:
            raise MissingAttribute(missing[0], self.raw)
        return kind(**known)

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, name: object) -> bool:
        return name in self.raw

    def __repr__(self) -> str:
        """Name the attributes only: values may be personal data."""
        return f"Image({', '.join(sorted(map(str, self.raw)))})"

    def rows(self, name: str, /, **kinds: type) -> list[tuple[Any, ...]]:
        """Return the maps of a list as tuples of the named attributes, in the order in which they are named.

        `image.rows("items", productId=str, quantity=int)`: a kind is `str`, `int` (a whole number however it is
        written, as 2.0), `Decimal`, `bool`, `bytes`, `list`, `dict` or `frozenset`. Several times as fast as `get` for
        lists of small maps, and it checks what `get` does: also attributes that are not named. Raises `InvalidRecord`
        with the place, as `items[2].quantity`, for a missing attribute too.
        """
        tagged = self.raw.get(name)
        entries = tagged.get("L") if type(tagged) is dict and len(tagged) == 1 else None
        if type(entries) is not list:
            raise InvalidRecord(f"{name}: wanted a list of maps, got {describe(self.get(name))}")
        return [
            _plain_row(entry, kinds) or _row(entry, kinds, f"{name}[{place}]") for place, entry in enumerate(entries)
        ]


_NAMES = {str: "text", int: "a whole number", Decimal: "a number", bool: "true or false", bytes: "a binary value"}


def whole(value: object) -> int | None:
    """Return a whole number however it is written (10, 10.0, 1E+1), None for anything else."""
    if type(value) is Decimal and value == value.to_integral_value():
        return int(value)
    return value if type(value) is int else None


def _plain_row(entry: Any, kinds: Mapping[str, type]) -> tuple[Any, ...] | None:
    """Read a map of text and short numbers, as nearly all are, in a third of the time; None for any other."""
    row: list[Value] = []
    try:
        attributes = entry["M"]
        for name, kind in kinds.items():
            tagged = attributes[name]
            if kind is str:
                value = tagged["S"]
                if type(value) is not str or len(tagged) > 1:
                    return None
            else:
                value = tagged["N"]
                if kind is not int or len(tagged) > 1 or len(value) > MAX_DIGITS:
                    return None
                if not value.isdigit() or not value.isascii():
                    return None
                value = int(value)
            row.append(value)
        if len(attributes) > len(row):
            for name, tagged in attributes.items():
                if name not in kinds and not _is_plain(tagged):
                    return None
    except (AttributeError, KeyError, TypeError):
        return None
    return tuple(row) if len(entry) == 1 else None


def _is_plain(tagged: Any) -> bool:
    """Tell whether a value is text, or a short number without sign and exponent."""
    if len(tagged) > 1:
        return False
    if "S" in tagged:
        return type(tagged["S"]) is str
    digits = tagged["N"]
    return digits.isascii() and digits.replace(".", "", 1).isdigit() and len(digits) <= MAX_DIGITS


def _row(entry: Any, kinds: Mapping[str, type], place: str) -> tuple[Any, ...]:
    attributes = entry.get("M") if type(entry) is dict and len(entry) == 1 else None
    if type(attributes) is not dict:
        raise InvalidRecord(f"{place}: wanted a map, got {describe(_within(place, _convert, entry, 2))}")
    values = {name: _within(f"{place}.{name}", _convert, tagged, 3) for name, tagged in attributes.items()}
    return tuple([_within(f"{place}.{name}", _of_kind, values.get(name), kind) for name, kind in kinds.items()])


def _within(place: str, read: Callable[..., Value], *arguments: object) -> Value:
    try:
        return read(*arguments)
    except InvalidRecord as error:
        raise InvalidRecord(f"{place}: {error}") from None


def _of_kind(value: Value, kind: type) -> Value:
    if type(value) is kind:
        return value
    if kind is int:
        units = whole(value)
        if units is not None:
            return units
    if kind is Decimal and type(value) is int:
        return Decimal(value)
    if isinstance(value, kind) and kind is dict:
        return value
    raise InvalidRecord(f"wanted {_NAMES.get(kind, f'a {kind.__name__}')}, got {describe(value)}")


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _fitting(image: Image, name: str, hint: Any) -> Value:
    """Return an attribute whose value is of a plain type; what lists, sets and maps hold is not looked at."""
    value = image[name]
    options = typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)
    kinds = [typing.get_origin(option) or option for option in options]
    if Any in kinds or any(isinstance(kind, type) and _is_of(value, kind) for kind in kinds):
        return value
    wanted = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise InvalidRecord(f"{name}: wanted {wanted}, got {describe(value)}")


def _is_of(value: Value, kind: type) -> bool:
    """Tell whether a value is of a type; a whole number is a Decimal as well, and a boolean is no number."""
    if isinstance(value, bool) and kind is not bool:
        return kind is object
    return isinstance(value, kind) or (kind is Decimal and isinstance(value, int))


def plain(item: Mapping[str, Any]) -> dict[str, Value]:
    """Return an item with type tags as plain values; raises `InvalidRecord` for a value that has none.

    Binary values are base64 text, as in a Lambda event and on the wire, or bytes, as botocore gives them.
    """
    return _members(item, {}, 1)


def _members(item: Mapping[str, Any], made: dict[str, Value], depth: int) -> dict[str, Value]:
    """Convert the members of a map; text and numbers, most of what there is, without a call for each.

    Maps within it are of the class that `made` has.
    """
    tagged: Any = None
    try:
        for name, tagged in item.items():
            if "S" in tagged:
                value = tagged["S"]
                if type(value) is str and len(tagged) == 1:
                    made[name] = value
                    continue
            elif "N" in tagged:
                value = tagged["N"]
                if type(value) is str and len(tagged) == 1:
                    made[name] = (
                        int(value)
                        if value.isdigit() and value.isascii() and len(value) <= MAX_DIGITS
                        else _number(value)
                    )
                    continue
            made[name] = _convert(tagged, depth, type(made))
    except TypeError:
        _convert(tagged, depth)  # says what is wrong with it
        raise
    return made


def _convert(tagged: Any, depth: int, maps: type[dict[str, Value]] = Attributes) -> Value:
    if type(tagged) is not dict or len(tagged) != 1:
        raise InvalidRecord(f"wanted one type tag with its value, got {describe(tagged)}")
    ((tag, value),) = tagged.items()
    # An if-chain in the order of frequency: half the time of a match statement or a table of functions.
    if tag == "S":
        if type(value) is str:
            return value
    elif tag == "N":
        return _number(value)
    elif tag == "M":
        return _map(value, depth, maps)
    elif tag == "L":
        return _list(value, depth, maps)
    else:
        return _convert_rare(tag, value)
    raise InvalidRecord(f"wanted text, got {describe(value)}")


def _convert_rare(tag: str, value: object) -> Value:
    if tag == "BOOL" and type(value) is bool:
        return value
    if tag == "NULL" and value is True:
        return None
    if tag == "B":
        return _binary(value)
    if tag in _SETS:
        return _set(value, _SETS[tag])
    raise InvalidRecord(f"wanted a type tag of DynamoDB with its value, got {describe(tag)}: {describe(value)}")


def _number(value: object) -> int | Decimal:
    if type(value) is not str:
        raise InvalidRecord(f"wanted a number as text, got {describe(value)}")
    # Short plain numbers, by far the most frequent, need none of the checks below.
    if len(value) <= MAX_DIGITS and value.isascii():
        if value.isdigit():
            return int(value)
        if value.replace(".", "", 1).isdigit():
            return Decimal(value)  # of so few digits none is lost, and the magnitude is within the limits
    if not _NUMBER.fullmatch(value):
        raise InvalidRecord(f"wanted a number, got {describe(value)}")
    digits = value.removeprefix("-")
    if digits.isdigit():
        return _long_integer(value, digits)
    try:
        return _to_decimal(value)
    except decimal.DecimalException:
        raise InvalidRecord(
            f"wanted at most {MAX_DIGITS} significant digits from 1E-130 to 9.99E+125, got {describe(value)}"
        ) from None


def _long_integer(value: str, digits: str) -> int:
    if len(digits) > _MAX_INTEGER_LENGTH or len(digits.strip("0")) > MAX_DIGITS:
        raise InvalidRecord(f"wanted at most {MAX_DIGITS} significant digits, got {describe(value)}")
    return int(value)


def _text(value: object) -> str:
    if type(value) is not str:
        raise InvalidRecord(f"wanted text, got {describe(value)}")
    return value


def _binary(value: object) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is not str:
        raise InvalidRecord(f"wanted base64 text, got {describe(value)}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRecord(f"wanted base64 text, got {describe(value)}") from None


def _map(value: object, depth: int, maps: type[dict[str, Value]]) -> dict[str, Value]:
    if type(value) is not dict:
        raise InvalidRecord(f"wanted a map, got {describe(value)}")
    if depth > MAX_DEPTH:
        raise _too_deep()
    return _members(value, maps(), depth + 1)


def _list(value: object, depth: int, maps: type[dict[str, Value]]) -> list[Value]:
    if type(value) is not list:
        raise InvalidRecord(f"wanted a list, got {describe(value)}")
    if depth > MAX_DEPTH:
        raise _too_deep()
    made: list[Value] = []
    for entry in value:
        members = entry.get("M") if type(entry) is dict and len(entry) == 1 else None
        if type(members) is dict and depth < MAX_DEPTH:  # as most lists hold them: by one call
            made.append(_members(members, maps(), depth + 2))
        else:
            made.append(_convert(entry, depth + 1, maps))
    return made


def _set(value: object, convert: Callable[[object], Value]) -> frozenset[Value]:
    if type(value) is not list or not value:
        raise InvalidRecord(f"wanted a set with at least one element, got {describe(value)}")
    if convert is _text and {*map(type, value)} == {str}:
        return frozenset(value)
    return frozenset([convert(element) for element in value])


def _too_deep() -> InvalidRecord:
    return InvalidRecord(f"nested deeper than {MAX_DEPTH} levels")


_SETS: Mapping[str, Callable[[object], Value]] = {"SS": _text, "NS": _number, "BS": _binary}
