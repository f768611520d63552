"""Event filtering: which stream records reach the function at all (rules 27 to 32).

A pattern is compiled once into nested closures; matching a record builds nothing. Sources: rules 27, 28 and 29 are
documented, 30 and 32 recorded against AWS. Inferred: an array in the record matches if any of its elements does; empty
arrays and empty objects in a pattern are refused; `exists: false` also holds where a parent of the leaf is absent.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Test = Callable[[Any], bool]

FEWEST_ALTERNATIVES = 2

# A value that is not there. None cannot say so, because a pattern may ask for null.
_ABSENT = object()


class InvalidFilterPattern(ValueError):
    """The service refuses a pattern: InvalidParameterValueException, "Invalid filter pattern definition." (R)."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Invalid filter pattern definition. ({why})")


@dataclass(frozen=True, slots=True)
class FilterSet:
    """The filters of a mapping: a record passes if any of them matches it, or if there are none (rule 27)."""

    tests: tuple[Test, ...]

    @classmethod
    def compile(cls, patterns: Sequence[str]) -> FilterSet:
        """Compile JSON patterns. Raises InvalidFilterPattern."""
        return cls(tuple(compile_pattern(pattern) for pattern in patterns))

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a Lambda-shaped record passes."""
        return not self.tests or any(test(record) for test in self.tests)


def compile_pattern(pattern: str) -> Test:
    """One JSON pattern as a predicate over a Lambda-shaped record. Raises InvalidFilterPattern."""
    try:
        return _members(json.loads(pattern, parse_constant=_no_constant), "the pattern")
    except json.JSONDecodeError as error:
        raise InvalidFilterPattern("not JSON") from error
    except RecursionError as error:
        raise InvalidFilterPattern("nested too deeply") from error


def _no_constant(name: str) -> float:
    """Python reads NaN and Infinity, which are not JSON."""
    raise InvalidFilterPattern(f"{name} is not JSON")


def _members(pattern: object, where: str) -> Test:
    """Keys are ANDed (rule 27)."""
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidFilterPattern(f"{where} must be an object with at least one key")
    tests = tuple(_member(key, value, where) for key, value in pattern.items())
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _member(key: str, pattern: object, where: str) -> Test:
    if key == "$or":
        return _either(pattern, where)
    if isinstance(pattern, list):
        return _at(key, _leaf(pattern, key))
    return _at(key, _members(pattern, key))


def _either(alternatives: object, where: str) -> Test:
    if not isinstance(alternatives, list) or len(alternatives) < FEWEST_ALTERNATIVES:
        raise InvalidFilterPattern(f"$or in {where} takes a list of two objects or more")
    tests = tuple(_members(alternative, "$or") for alternative in alternatives)
    return lambda value: any(test(value) for test in tests)


def _at(key: str, test: Test) -> Test:
    def matches(value: object) -> bool:
        if isinstance(value, dict):
            return test(value.get(key, _ABSENT))
        if isinstance(value, list) and value:
            return any(matches(element) for element in value)
        return test(_ABSENT)

    return matches


def _leaf(conditions: Sequence[object], key: str) -> Test:
    """Values of a list are ORed (rule 27)."""
    if not conditions:
        raise InvalidFilterPattern(f"the list of {key} is empty")
    tests = tuple(_condition(condition, key) for condition in conditions)
    return lambda value: any(test(value) for test in tests)


def _condition(condition: object, key: str) -> Test:
    if isinstance(condition, list):
        raise InvalidFilterPattern(f"{key} has a list within a list")
    if not isinstance(condition, dict):
        return _some(_equals(condition))
    if len(condition) != 1:
        raise InvalidFilterPattern(f"{key} must name one operator in each object")
    ((name, operand),) = condition.items()
    if name == "exists":
        return _exists(operand)
    return _some(_operator(name, operand))


def _exists(operand: object) -> Test:
    """Only a leaf exists: an attribute that is there as {"S": ...} is an object, not a leaf (rule 30, R)."""
    if not isinstance(operand, bool):
        raise InvalidFilterPattern("exists takes true or false")
    return lambda value: (value is not _ABSENT and not isinstance(value, dict)) is operand


def _some(test: Test) -> Test:
    """Apply a test to a leaf, or to any element of an array of leaves; never to what is absent."""

    def matches(value: object) -> bool:
        if isinstance(value, list):
            return any(test(element) for element in value)
        return value is not _ABSENT and test(value)

    return matches


def _operator(name: str, operand: object) -> Test:
    if name == "prefix":
        return _text(operand, name, lambda value, wanted: value.startswith(wanted))
    if name == "suffix":
        return _text(operand, name, lambda value, wanted: value.endswith(wanted))
    if name == "equals-ignore-case":
        return _text(operand, name, lambda value, wanted: value.casefold() == wanted.casefold())
    if name == "numeric":
        return _numeric(operand)
    if name == "anything-but":
        return _anything_but(operand)
    raise InvalidFilterPattern(f"unknown operator {name}")


def _equals(wanted: object) -> Test:
    """Equality as in JSON: true is not 1, "1" is not 1, 1.0 is 1."""
    if isinstance(wanted, bool) or wanted is None:
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: isinstance(value, str) and value == wanted
    return lambda value: _is_number(value) and value == wanted


def _text(operand: object, name: str, compare: Callable[[str, str], bool]) -> Test:
    if isinstance(operand, dict) and name in ("prefix", "suffix") and list(operand) == ["equals-ignore-case"]:
        inner = operand["equals-ignore-case"]
        return _text(inner, name + " ", lambda value, wanted: compare(value.casefold(), wanted.casefold()))
    if not isinstance(operand, str):
        raise InvalidFilterPattern(f"{name.strip()} takes a string")
    return lambda value: isinstance(value, str) and compare(value, operand)


def _anything_but(operand: object) -> Test:
    """True for a leaf that is there and is none of the named."""
    if isinstance(operand, dict):
        if len(operand) != 1 or next(iter(operand)) not in ("prefix", "suffix", "equals-ignore-case"):
            raise InvalidFilterPattern("anything-but takes values, or one of prefix, suffix, equals-ignore-case")
        ((name, inner),) = operand.items()
        values = inner if isinstance(inner, list) else [inner]
        unwanted = tuple(_operator(name, value) for value in values)
    else:
        unwanted = tuple(_equals(value) for value in _scalars(operand))
    return lambda value: not isinstance(value, dict) and not any(test(value) for test in unwanted)


def _scalars(operand: object) -> Sequence[object]:
    values = operand if isinstance(operand, list) else [operand]
    if not values or any(isinstance(value, dict | list) for value in values):
        raise InvalidFilterPattern("anything-but takes one value or a list of values")
    return values


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _numeric(operand: object) -> Test:
    """Comparisons are ANDed. A string never matches, and an N attribute is a string (rule 29)."""
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidFilterPattern("numeric takes one or two comparisons")
    pairs = [(operand[i], operand[i + 1]) for i in range(0, len(operand), 2)]
    if any(not isinstance(sign, str) or sign not in _COMPARISONS or not _is_number(limit) for sign, limit in pairs):
        raise InvalidFilterPattern("numeric takes =, <, <=, > or >= and a number")
    tests = [(_COMPARISONS[sign], limit) for sign, limit in pairs]
    return lambda value: _is_number(value) and all(compare(value, limit) for compare, limit in tests)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
