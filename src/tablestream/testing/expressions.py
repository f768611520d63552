"""Condition and update expressions of DynamoDB, as far as `MemoryDynamoDB` knows them.

Conditions: comparisons of attributes and values, IN, `attribute_exists`, `attribute_not_exists`, `if_not_exists`, AND,
OR, NOT and brackets. Updates: SET of a value, a sum or a difference, ADD of a number, and REMOVE. Attributes are those
of the item itself, not of maps and lists in it. Anything else raises `UnsupportedRequest`: an expression that is not
understood must not pass for true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from tablestream.testing.values import tagged

Item = Mapping[str, Any]
Names = Mapping[str, str]
Values = Mapping[str, Any]
Test = Callable[[Item, Names, Values], bool]
Operand = Callable[[Item, Names, Values], "Any"]
Change = Callable[[Item, dict[str, Any], Names, Values], None]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+-]|[#:]?[A-Za-z_][A-Za-z0-9_]*)")
_EXACT = Context(prec=300)
_WORDS = frozenset({"AND", "OR", "NOT", "IN"})
_CLAUSES = frozenset({"SET", "ADD", "REMOVE"})
# The words of DynamoDB's list that somebody is likely to reach for.
_RESERVED = frozenset(
    {"STATE", "STATUS", "TTL", "ITEMS", "DATA", "NAME", "TOTAL", "KEY", "VALUE", "VALUES", "DATE", "TIME"}
)


class UnsupportedRequest(AssertionError):
    """A request that the double does not understand, or that DynamoDB would refuse whatever the item is."""


class UnfitItem(Exception):
    """An update that cannot be applied to the item as it is: DynamoDB calls the request invalid."""


class _Tokens:
    """The tokens of an expression, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if not found:
                raise UnsupportedRequest(f"cannot read {text!r} from {position} on")
            self.tokens.append(found.group(1))
            position = found.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if not token or (wanted is not None and token.upper() != wanted):
            raise UnsupportedRequest(f"wanted {wanted or 'more'} in {self.text!r}, got {token!r}")
        self.at += 1
        return token


@lru_cache(maxsize=512)
def condition(text: str) -> Test:
    """Compile a condition expression to a test of an item with type tags."""
    tokens = _Tokens(text)
    test = _either(tokens)
    if tokens.peek():
        raise UnsupportedRequest(f"cannot read {text!r} from {tokens.peek()!r} on")
    return test


def _either(tokens: _Tokens) -> Test:
    tests = [_both(tokens)]
    while tokens.peek().upper() == "OR":
        tokens.take()
        tests.append(_both(tokens))
    return tests[0] if len(tests) == 1 else lambda i, n, v: any(test(i, n, v) for test in tests)


def _both(tokens: _Tokens) -> Test:
    tests = [_single(tokens)]
    while tokens.peek().upper() == "AND":
        tokens.take()
        tests.append(_single(tokens))
    return tests[0] if len(tests) == 1 else lambda i, n, v: all(test(i, n, v) for test in tests)


def _single(tokens: _Tokens) -> Test:
    if tokens.peek().upper() == "NOT":
        tokens.take()
        inner = _single(tokens)
        return lambda i, n, v: not inner(i, n, v)
    if tokens.peek() == "(":
        tokens.take()
        inside = _either(tokens)
        tokens.take(")")
        return inside
    if tokens.peek() in {"attribute_exists", "attribute_not_exists"}:
        wanted = tokens.take() == "attribute_exists"
        tokens.take("(")
        name = tokens.take()
        tokens.take(")")
        return lambda i, n, _v: (_resolve(name, n) in i) is wanted
    return _comparison(tokens)


def _comparison(tokens: _Tokens) -> Test:
    left = _value(tokens)
    sign = tokens.take()
    if sign.upper() == "IN":
        return _membership(left, tokens)
    right = _value(tokens)
    if sign not in _SIGNS:
        raise UnsupportedRequest(f"{sign!r} in {tokens.text!r}")
    compare = _SIGNS[sign]

    def test(item: Item, names: Names, values: Values) -> bool:
        one, other = left(item, names, values), right(item, names, values)
        if one is None or other is None:
            return False
        if sign in {"=", "<>"}:
            return compare(_plain(one), _plain(other))
        (tag,), (other_tag,) = one, other
        return bool(tag == other_tag and compare(_plain(one), _plain(other)))

    return test


def _membership(left: Operand, tokens: _Tokens) -> Test:
    """Return the test that an operand is one of those in brackets."""
    tokens.take("(")
    choices = [_value(tokens)]
    while tokens.peek() == ",":
        tokens.take()
        choices.append(_value(tokens))
    tokens.take(")")

    def test(item: Item, names: Names, values: Values) -> bool:
        one = left(item, names, values)
        found = [choice(item, names, values) for choice in choices]
        return one is not None and any(other is not None and _plain(one) == _plain(other) for other in found)

    return test


_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<>": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _plain(tagged: Mapping[str, Any]) -> Any:
    ((tag, value),) = tagged.items()
    return Decimal(value) if tag == "N" else value


def _resolve(name: str, names: Names) -> str:
    if name.startswith("#"):
        if name not in names:
            raise UnsupportedRequest(f"{name} is not in ExpressionAttributeNames")
        return names[name]
    if name.upper() in _RESERVED:
        raise UnsupportedRequest(f"{name} is a reserved word: DynamoDB refuses it")
    return name


def _value(tokens: _Tokens) -> Operand:
    """Return what gives an attribute's or a placeholder's value; None when the attribute is not there."""
    token = tokens.take()
    if token in {"(", ")", ",", "+", "-"} or token.upper() in _WORDS:
        raise UnsupportedRequest(f"wanted an operand in {tokens.text!r}, got {token!r}")
    if token.startswith(":"):
        return lambda _i, _n, v: v[token]
    if tokens.peek() == "(":
        return _if_not_exists(token, tokens)
    return lambda i, n, _v: i.get(_resolve(token, n))


def _if_not_exists(function: str, tokens: _Tokens) -> Operand:
    if function != "if_not_exists":
        raise UnsupportedRequest(f"{function} in {tokens.text!r}")
    tokens.take("(")
    name = tokens.take()
    tokens.take(",")
    otherwise = _value(tokens)
    tokens.take(")")
    return lambda i, n, v: i[_resolve(name, n)] if _resolve(name, n) in i else otherwise(i, n, v)


@lru_cache(maxsize=512)
def update(text: str) -> Change:
    """Compile an update expression to a function that writes into a copy of the item."""
    tokens = _Tokens(text)
    changes: list[Change] = []
    while tokens.peek():
        clause = tokens.take().upper()
        if clause not in _CLAUSES:
            raise UnsupportedRequest(f"{clause!r} in {text!r}")
        changes.append(_CHANGES[clause](tokens))
        while tokens.peek() == ",":
            tokens.take()
            changes.append(_CHANGES[clause](tokens))

    def apply(old: Item, new: dict[str, Any], names: Names, values: Values) -> None:
        for change in changes:
            change(old, new, names, values)

    return apply


def _set(tokens: _Tokens) -> Change:
    name = tokens.take()
    tokens.take("=")
    left = _value(tokens)
    if tokens.peek() not in {"+", "-"}:
        return lambda old, new, n, v: new.__setitem__(_resolve(name, n), _there(left(old, n, v), name))
    sign = 1 if tokens.take() == "+" else -1
    right = _value(tokens)

    def change(old: Item, new: dict[str, Any], names: Names, values: Values) -> None:
        one, other = _there(left(old, names, values), name), _there(right(old, names, values), name)
        new[_resolve(name, names)] = _sum(one, other, sign)

    return change


def _there(value: Any, name: str) -> Any:
    if value is None:
        raise UnfitItem(f"The provided expression refers to an attribute that does not exist in the item ({name})")
    return value


def _sum(one: Mapping[str, Any], other: Mapping[str, Any], sign: int) -> dict[str, Any]:
    if "N" not in one or "N" not in other:
        raise UnfitItem("An operand in the update expression has an incorrect data type")
    try:
        total: dict[str, Any] = tagged(_EXACT.add(_plain(one), sign * _plain(other)))
    except ValueError as error:
        raise UnfitItem(f"Number overflow. {error}") from None
    return total


def _add(tokens: _Tokens) -> Change:
    name = tokens.take()
    amount = _value(tokens)

    def change(old: Item, new: dict[str, Any], names: Names, values: Values) -> None:
        attribute = _resolve(name, names)
        added = amount(old, names, values)
        if "N" not in added:
            raise UnsupportedRequest(f"wanted a number to ADD to {attribute}, got {added}")
        new[attribute] = _sum(old.get(attribute, {"N": "0"}), added, 1)

    return change


def _remove(tokens: _Tokens) -> Change:
    name = tokens.take()
    return lambda _old, new, n, _v: new.pop(_resolve(name, n), None)


_CHANGES: Mapping[str, Callable[[_Tokens], Change]] = {"SET": _set, "ADD": _add, "REMOVE": _remove}
