"""JSON as the API reads and writes it: numbers keep their digits, and what is ambiguous is refused.

`read` refuses repeated members, lone surrogates, NaN and infinities, numbers that DynamoDB cannot keep and more than 32
levels, with the place of each. `write` gives every number with exactly the digits that are stored.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from shop.api.problems import FieldProblem, invalid, kind_of
from tablestream.image import MAX_DIGITS

MAX_LEVELS = 32
_LARGEST = 125
"""The decimal exponent of the largest number that DynamoDB keeps; that of the smallest one is -130."""
_SMALLEST = -130
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Refused(NamedTuple):
    """Stands where something was that cannot be taken."""

    why: str


def read(text: str | None) -> dict[str, Any]:
    """Return the object that a JSON text stands for: whole numbers as int, however written, and others as Decimal.

    Raises `Problem` with the place of everything that is wrong with it.
    """
    if not text or text.isspace():
        raise invalid([FieldProblem("body", "wanted a JSON object, got nothing")])
    reading = _Reading()
    value = reading.decoded(text)
    deep = text.count("[") + text.count("{") > MAX_LEVELS
    if reading.refused or deep or _ESCAPED_SURROGATE.search(text) or _SURROGATE.search(text):
        problems = list(_problems(value, "", 1))
        if problems:
            raise invalid(problems)
    if not isinstance(value, dict):
        raise invalid([FieldProblem("body", f"wanted a JSON object, got {kind_of(value)}")])
    return value


class _Reading:
    """One text that is read: where something cannot be taken, a note stands in its place."""

    def __init__(self) -> None:
        self.refused = False

    def decoded(self, text: str) -> Any:
        """Return the value of a text; raises `Problem` for one that is no JSON."""
        decoder = json.JSONDecoder(
            object_pairs_hook=self._members,
            parse_float=self._number,
            parse_int=self._number,
            parse_constant=lambda word: self._refuse(f"wanted a number that JSON has, got {word}"),
        )
        try:
            return decoder.decode(text)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise invalid([FieldProblem("body", f"wanted JSON, got something else at {where}")]) from None
        except RecursionError:
            raise invalid([FieldProblem("body", _TOO_DEEP)]) from None

    def _refuse(self, why: str) -> _Refused:
        self.refused = True
        return _Refused(why)

    def _number(self, written: str) -> Any:
        kept = _number(written)
        return self._refuse(kept) if isinstance(kept, str) else kept

    def _members(self, pairs: list[tuple[str, Any]]) -> Any:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        return self._refuse(f"wanted each member once, got {_shown(repeated)} repeated")


_TOO_DEEP = f"wanted at most {MAX_LEVELS} levels, got more"


_SHORT = 15


def _number(written: str) -> int | Decimal | str:
    """Return a number as it is kept, or why it is not."""
    if len(written) <= _SHORT and written.removeprefix("-").isdigit():
        return int(written)
    number = Decimal(written)
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if not digits:
        return 0
    order = number.adjusted()
    whole = order - len(digits) + 1 >= 0
    if len(digits) > MAX_DIGITS or (whole and order >= MAX_DIGITS):
        return f"wanted a number of at most {MAX_DIGITS} digits, got {max(len(digits), order + 1 if whole else 0)}"
    if not _SMALLEST <= order <= _LARGEST:
        return f"wanted a number from 1e{_SMALLEST} to 1e{_LARGEST}, got one of the order 1e{order}"
    exact = Decimal((number.is_signed(), tuple(map(int, digits)), order - len(digits) + 1))
    return int(exact) if whole else exact


def _problems(value: Any, path: str, level: int) -> Iterator[FieldProblem]:
    if isinstance(value, _Refused):
        yield FieldProblem(path or "body", value.why)
    elif isinstance(value, str):
        if _SURROGATE.search(value):
            yield FieldProblem(path or "body", "wanted valid Unicode, got half of a surrogate pair")
    elif isinstance(value, dict | list) and level > MAX_LEVELS:
        yield FieldProblem(_first_of(path), _TOO_DEEP)
    elif isinstance(value, dict):
        for name, entry in value.items():
            if _SURROGATE.search(name):
                yield FieldProblem(path or "body", "wanted valid Unicode in a member's name, got half of a pair")
            else:
                yield from _problems(entry, f"{path}.{name}" if path else name, level + 1)
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            yield from _problems(entry, f"{path}[{place}]", level + 1)


def _first_of(path: str) -> str:
    """Return the first part of a path: one of 32 levels says nothing."""
    return re.split(r"[.\[]", path, maxsplit=1)[0] or "body"


def _shown(name: str) -> str:
    return json.dumps(name[:40])


# --- writing ---------------------------------------------------------------------------------------------------------


class _TooManyDigits(Exception):
    """A number has more digits than a float tells exactly."""


def _like_float(value: Any) -> Any:
    """Return a value of an item as json can write it: a number as a float where that has the same digits."""
    if isinstance(value, Decimal):
        near = float(value)
        if repr(near) == str(value):
            return near
        raise _TooManyDigits
    return _listed(value)


def _listed(value: Any) -> list[Any] | str:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytes):  # no body can bring one, but other programs write to the table too
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"wanted a value of an item, got {type(value).__name__}")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, default=_like_float).encode


def write(value: Any) -> str:
    """Return the JSON text of plain values of items: sets as sorted lists, numbers with exactly their digits."""
    try:
        return _encode(value)
    except _TooManyDigits:
        return "".join(_written(value))


def _written(value: Any) -> Iterator[str]:
    """Yield the text of a value piece by piece: slower than the encoder, for numbers that it cannot write."""
    if isinstance(value, Decimal):
        yield str(value)
    elif isinstance(value, Mapping):
        yield "{"
        for place, (name, entry) in enumerate(value.items()):
            yield f"{',' if place else ''}{encode_basestring(name)}:"
            yield from _written(entry)
        yield "}"
    elif isinstance(value, list | tuple | set | frozenset):
        yield "["
        for place, entry in enumerate(sorted(value) if isinstance(value, set | frozenset) else value):
            yield "," if place else ""
            yield from _written(entry)
        yield "]"
    else:
        yield _encode(value)
