"""Plain values with the type tags of DynamoDB.

Text, whole numbers, `Decimal`, `bytes`, `bool`, None, lists, maps and sets, with DynamoDB's limits: 38 significant
digits, magnitudes from 1E-130 to 9.99E+125, at most 32 levels of nesting, no empty set, no float. The way back is
`tablestream.image.plain`.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, NamedTuple

from tablestream.dynamodb.errors import InvalidValue
from tablestream.image import MAX_DEPTH, MAX_DIGITS, Attributes

_SAFE = 10**MAX_DIGITS
_number = decimal.Context(
    prec=MAX_DIGITS,
    Emin=-130,
    Emax=125,
    traps=[decimal.Inexact, decimal.Overflow, decimal.Subnormal, decimal.InvalidOperation],
)


class NoTag(Exception):
    """A value has no type tag; the names and places that lead to it are gathered on the way out."""

    def __init__(self, wanted: str) -> None:
        """Take what was wanted and what came, without the value."""
        super().__init__(wanted)
        self.steps: list[str | int] = []

    def named(self, path: str = "") -> InvalidValue:
        """Return the error for who gave the value, with its place."""
        for step in reversed(self.steps):
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        made = InvalidValue(f"{path or 'the value'}: {self}")
        made.path = path
        return made


class Tagging(NamedTuple):
    """The settings that differ from one use to another."""

    drop_nulls: bool = False
    """Whether a map is written without its members that are None; a list keeps them."""
    binary: Callable[[bytes], Any] = bytes
    """Returns a binary value as it is wanted behind its tag."""
    other: Callable[[object], Any] | None = None
    """Returns values of other types with their tags; raises `NoTag` for what has none."""


PLAIN = Tagging()


def tag(value: object, how: Tagging = PLAIN, path: str = "") -> dict[str, Any]:
    """Return a value with its type tag; raises `InvalidValue`, which calls the value by its path."""
    try:
        return _tag(value, how, 1)
    except NoTag as no_tag:
        raise no_tag.named(path) from None


def tag_item(item: Mapping[str, Any], how: Tagging = PLAIN) -> dict[str, Any]:
    """Return an item with type tags; raises `InvalidValue`, which calls a value by its place in the item."""
    try:
        return _members(item, how, 1)
    except NoTag as no_tag:
        raise no_tag.named() from None


def _tag(value: Any, how: Tagging, depth: int) -> dict[str, Any]:
    # An if-chain in the order of frequency: half the time of a match statement.
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int and -_SAFE < value < _SAFE:
        return {"N": str(value)}
    if kind is Decimal:
        return {"N": number_text(value)}
    if kind is dict or kind is Attributes:
        return {"M": _members(value, how, depth + 1)}
    if kind is list:
        return {"L": _entries(value, how, depth + 1)}
    return {"BOOL": value} if kind is bool else _tag_rare(value, how, depth)


def _tag_rare(value: Any, how: Tagging, depth: int) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, set | frozenset):
        return _set(value, how)
    if isinstance(value, Mapping):
        return {"M": _members(value, how, depth + 1)}
    if isinstance(value, list | tuple):
        return {"L": _entries(value, how, depth + 1)}
    if isinstance(value, AbstractSet):
        return _set(value, how)
    return _scalar(value, how)


def _members(item: Mapping[str, Any], how: Tagging, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        _check_depth(item)
    made: dict[str, Any] = {}
    name: Any = ""
    try:
        for name, value in item.items():
            # Text and numbers, most of what there is, need no call of a function.
            kind = type(value)
            if kind is str:
                made[name] = {"S": value}
            elif kind is int:
                text = str(value)
                made[name] = {"N": text if len(text) <= MAX_DIGITS else number_text(value)}
            elif kind is Decimal:
                text = str(value)
                short = text[-1] != "0" and len(text) <= MAX_DIGITS and text.replace(".", "", 1).isdigit()
                made[name] = {"N": text if short else number_text(value)}
            elif value is not None or not how.drop_nulls:
                made[name] = _tag(value, how, depth)
            if type(name) is not str or not name:
                _check_name(name)
    except NoTag as no_tag:
        no_tag.steps.append(str(name))
        raise
    except ValueError:  # Python does not write a whole number of thousands of digits
        too_long = NoTag(_WANTED_NUMBER)
        too_long.steps.append(str(name))
        raise too_long from None
    return made


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise NoTag(f"wanted text that is not empty as a name, got {type(name).__name__} {name!r}")


_TEXT = frozenset({str})


def _entries(values: list[Any] | tuple[Any, ...], how: Tagging, depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        _check_depth(values)
    made: list[Any] = []
    try:
        for value in values:
            if type(value) is dict:
                made.append({"M": _members(value, how, depth + 1)})
            else:
                made.append(_tag(value, how, depth))
    except NoTag as no_tag:
        no_tag.steps.append(len(made))
        raise
    return made


def _check_depth(values: Collection[Any]) -> None:
    if values:
        raise NoTag(f"wanted at most {MAX_DEPTH} levels of nesting, got more")


def _set(values: AbstractSet[Any], how: Tagging) -> dict[str, Any]:
    if {*map(type, values)} == _TEXT:
        return {"SS": sorted(values)}
    try:
        tags: dict[str, list[Any]] = {}
        for value in values:
            ((tag_of, content),) = _scalar(value, how).items()
            tags.setdefault(tag_of, []).append(content)
    except NoTag as no_tag:
        raise NoTag(f"a member of the set: {no_tag}") from None
    if len(tags) != 1 or tags.keys() - {"S", "N", "B"}:
        kinds = " and ".join(sorted(tags)) or "none"
        raise NoTag(f"wanted a set of text, of numbers or of binary, not empty, got {kinds}")
    ((tag_of, contents),) = tags.items()
    return {f"{tag_of}S": sorted(contents)}


def _scalar(value: Any, how: Tagging) -> dict[str, Any]:
    """Return what a set can hold too, with its tag."""
    if isinstance(value, str):
        return {"S": str.__str__(value)}  # the text of a member of a StrEnum
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return {"N": number_text(value)}
    if isinstance(value, bytes | bytearray):
        return {"B": how.binary(bytes(value))}
    if isinstance(value, float):
        raise NoTag("wanted a Decimal or an int, got a float")
    if how.other is not None:
        tagged: dict[str, Any] = how.other(value)
        return tagged
    raise no_type(value)


def no_type(value: object) -> NoTag:
    """Return the error for a value of a type that DynamoDB does not have."""
    return NoTag(f"wanted a value that DynamoDB has a type for, got {type(value).__name__}")


def number_text(value: Decimal | int) -> str:
    """Return a number in the digits that DynamoDB writes: no exponent, no zeros at the end, no minus before a zero."""
    text = str(value) if type(value) is Decimal else ""
    if text.replace(".", "", 1).isdigit() and len(text) <= MAX_DIGITS:  # as most are: short, and without exponent
        return text.rstrip("0").rstrip(".") if text[-1] == "0" and "." in text else text
    number = Decimal(value)
    if not number.is_finite():
        raise NoTag("wanted a finite number")
    try:
        return format(_number.normalize(number), "f") if number else "0"
    except (decimal.Inexact, decimal.Overflow, decimal.Subnormal):
        raise NoTag(_WANTED_NUMBER) from None


_WANTED_NUMBER = f"wanted a number of {MAX_DIGITS} digits at most and a magnitude from 1E-130 to 9.99E+125"
