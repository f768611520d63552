"""Checks of arguments where they come in: one of a wrong type is told at once, by its name and without its value.

They look at types only, and take next to no time: who wrote the call mends it, and DynamoDB would say less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from tablestream.dynamodb.errors import InvalidRequest

_LISTS, _MAPPINGS = frozenset({tuple, list}), frozenset({dict, MappingProxyType})
"""The usual types, which take no time to know."""
_NO_LISTS = (str, bytes, bytearray, Mapping)


def wrong(name: str, wanted: str, got: object) -> InvalidRequest:
    """Return the error for an argument: what was wanted and what came."""
    return InvalidRequest(f"{name}: wanted {wanted}, got {kind_of_value(got)}")


def kind_of_value(value: object) -> str:
    """Return what came, without saying its value."""
    if value is None:
        return "nothing"
    return "text" if isinstance(value, str) else type(value).__name__


def check_names(name: str, given: object) -> None:
    """Refuse what is no list of names; text would be taken for a name a letter."""
    check_list(name, given, "a list of names", Collection)


def check_list(name: str, given: object, wanted: str, kind: type = Iterable) -> None:
    """Refuse what is no list or the like: text, a mapping, or one of the things that a list is wanted of."""
    if type(given) in _LISTS:
        return
    # A key and an action are tuples with names.
    if not isinstance(given, kind) or isinstance(given, _NO_LISTS) or hasattr(given, "_fields"):
        raise wrong(name, wanted, given)


def check_mapping(name: str, given: Any, wanted: str = "values by name") -> None:
    """Refuse what has no names and values."""
    if type(given) not in _MAPPINGS and not isinstance(given, Mapping):
        raise wrong(name, wanted, given)


def check_number(name: str, given: object, least: int | None = None) -> None:
    """Refuse what is no whole number, or a smaller one than the least; True is none."""
    wanted = "a whole number" if least is None else f"a whole number of at least {least}"
    if isinstance(given, bool) or not isinstance(given, int):
        raise wrong(name, wanted, given)
    if least is not None and given < least:
        raise InvalidRequest(f"{name}: wanted {wanted}, got {given}")


def check_path(given: object) -> None:
    """Refuse what is no place of an attribute."""
    if not isinstance(given, str | tuple):
        raise wrong("path", "the name of an attribute", given)


def check_text(name: str, given: object) -> None:
    """Refuse what is no text."""
    if not isinstance(given, str):
        raise wrong(name, "text", given)
