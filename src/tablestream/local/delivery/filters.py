"""Event filtering: which stream records reach the function at all (rules 27 to 32).

A pattern is compiled once into nested closures; matching a record builds nothing. The rules and their sources are in
docs/delivery-rules.md. What EventBridge's patterns accept and refuse was recorded; that Lambda's do the same, as both
are documented alike, is inferred.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Test = Callable[[Any], bool]

FEWEST_ALTERNATIVES = 2


class _Match(NamedTuple):
    """A compiled part of a pattern; `absence` says that it holds only where nothing is there."""

    test: Test
    absence: bool = False


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
        return _members(json.loads(pattern, parse_constant=_no_constant), "the pattern").test
    except json.JSONDecodeError as error:
        raise InvalidFilterPattern("not JSON") from error
    except RecursionError as error:
        raise InvalidFilterPattern("nested too deeply") from error


def _no_constant(name: str) -> float:
    """Python reads NaN and Infinity, which are not JSON."""
    raise InvalidFilterPattern(f"{name} is not JSON")


def _members(pattern: object, where: str) -> _Match:
    """Keys are ANDed (rule 27)."""
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidFilterPattern(f"{where} must be an object with at least one key")
    matches = [_member(key, value, where) for key, value in pattern.items()]
    if len(matches) == 1:
        return matches[0]
    tests = tuple(match.test for match in matches)
    return _Match(lambda value: all(test(value) for test in tests), absence=all(match.absence for match in matches))


def _member(key: str, pattern: object, where: str) -> _Match:
    if key == "$or":
        return _either(pattern, where)
    if isinstance(pattern, list):
        return _at(key, _leaf(pattern, key))
    return _at(key, _members(pattern, key))


def _either(alternatives: object, where: str) -> _Match:
    if not isinstance(alternatives, list) or len(alternatives) < FEWEST_ALTERNATIVES:
        raise InvalidFilterPattern(f"$or in {where} takes a list of two objects or more")
    return _any([_members(alternative, "$or") for alternative in alternatives])


def _any(matches: Sequence[_Match]) -> _Match:
    tests = tuple(match.test for match in matches)
    return _Match(lambda value: any(test(value) for test in tests), absence=all(match.absence for match in matches))


def _at(key: str, match: _Match) -> _Match:
    """The member `key` of an object; of an array's elements one must match, or all if absence is asked for."""
    test, of_elements = match.test, all if match.absence else any

    def matches(value: object) -> bool:
        if isinstance(value, dict):
            return test(value.get(key, _ABSENT))
        if isinstance(value, list) and value:
            return of_elements(matches(element) for element in value)
        return test(_ABSENT)

    return _Match(matches, match.absence)


def _leaf(conditions: Sequence[object], key: str) -> _Match:
    """Values of a list are ORed (rule 27)."""
    if not conditions:
        raise InvalidFilterPattern(f"the list of {key} is empty")
    return _any([_condition(condition, key) for condition in conditions])


def _condition(condition: object, key: str) -> _Match:
    if isinstance(condition, list):
        raise InvalidFilterPattern(f"{key} has a list within a list")
    if not isinstance(condition, dict):
        return _Match(_some(_equals(condition)))
    if len(condition) != 1:
        raise InvalidFilterPattern(f"{key} must name one operator in each object")
    ((name, operand),) = condition.items()
    if name == "exists":
        return _exists(operand)
    return _Match(_some(_operator(name, operand)))


def _exists(operand: object) -> _Match:
    """Only a leaf exists: an attribute that is there as {"S": ...} is an object, not a leaf (rule 30, R)."""
    if not isinstance(operand, bool):
        raise InvalidFilterPattern("exists takes true or false")
    return _Match(_is_there if operand else lambda value: not _is_there(value), absence=not operand)


def _is_there(value: object) -> bool:
    """An array is there as its leaves: not if it is empty (R), or holds nothing but objects."""
    if isinstance(value, list):
        return any(_is_there(element) for element in value)
    return value is not _ABSENT and not isinstance(value, dict)


def _some(test: Test) -> Test:
    """Apply a test to a leaf, or to any element of an array of leaves; never to what is absent or an object."""

    def matches(value: object) -> bool:
        if isinstance(value, list):
            return any(matches(element) for element in value)
        return value is not _ABSENT and not isinstance(value, dict) and test(value)

    return matches


def _operator(name: str, operand: object) -> Test:
    if name in _ON_TEXT:
        return _text(name, operand)
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


def _same_whatever_case(value: str, wanted: str) -> bool:
    return value.casefold() == wanted.casefold()


IGNORE_CASE = "equals-ignore-case"
_ON_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    IGNORE_CASE: _same_whatever_case,
}


def _text(name: str, operand: object) -> Test:
    compare = _ON_TEXT[name]
    if isinstance(operand, dict) and name != IGNORE_CASE and list(operand) == [IGNORE_CASE]:
        folded = _string(name, operand[IGNORE_CASE]).casefold()
        return lambda value: isinstance(value, str) and compare(value.casefold(), folded)
    wanted = _string(name, operand)
    return lambda value: isinstance(value, str) and compare(value, wanted)


def _string(name: str, operand: object) -> str:
    if not isinstance(operand, str):
        raise InvalidFilterPattern(f"{name} takes a string")
    return operand


def _anything_but(operand: object) -> Test:
    """True for a leaf that is there, null included, and is none of the named."""
    unwanted = _but_text(operand) if isinstance(operand, dict) else [_equals(value) for value in _but_values(operand)]
    return lambda value: not any(test(value) for test in unwanted)


def _but_text(operand: Mapping[str, object]) -> Sequence[Test]:
    """Texts only (R): neither an empty prefix or suffix nor one with equals-ignore-case is taken here."""
    if len(operand) != 1 or next(iter(operand)) not in _ON_TEXT:
        raise InvalidFilterPattern(f"anything-but takes values, or one of {', '.join(_ON_TEXT)}")
    ((name, inner),) = operand.items()
    texts = [_string(f"{name} in anything-but", one) for one in (inner if isinstance(inner, list) else [inner])]
    if not texts or (name != IGNORE_CASE and "" in texts):
        raise InvalidFilterPattern(f"{name} in anything-but is empty")
    return [_text(name, text) for text in texts]


def _but_values(operand: object) -> Sequence[object]:
    """Text or numbers, not both in one list (I), and neither null (R) nor true or false (I)."""
    values = operand if isinstance(operand, list) else [operand]
    numbers = [_is_number(value) for value in values]
    if not values or (any(numbers) and not all(numbers)):
        raise InvalidFilterPattern("anything-but takes one value, or a list of either texts or numbers")
    if not all(numbers):
        for value in values:
            _string("anything-but", value)
    return values


_BELOW: Mapping[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le}
_ABOVE: Mapping[str, Callable[[Any, Any], bool]] = {">": operator.gt, ">=": operator.ge}
_COMPARISONS = {"=": operator.eq, **_BELOW, **_ABOVE}


def _numeric(operand: object) -> Test:
    """One comparison, or a lower and then an upper bound (R). A string never matches, and N is a string (rule 29)."""
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidFilterPattern("numeric takes one or two comparisons")
    pairs = [(operand[i], operand[i + 1]) for i in range(0, len(operand), 2)]
    if any(not isinstance(sign, str) or sign not in _COMPARISONS or not _is_number(limit) for sign, limit in pairs):
        raise InvalidFilterPattern("numeric takes =, <, <=, > or >= and a number")
    if len(pairs) > 1:
        _check_range(*pairs)
    tests = [(_COMPARISONS[sign], limit) for sign, limit in pairs]
    return lambda value: _is_number(value) and all(compare(value, limit) for compare, limit in tests)


def _check_range(lower: tuple[str, float], upper: tuple[str, float]) -> None:
    if lower[0] not in _ABOVE or upper[0] not in _BELOW:
        raise InvalidFilterPattern(f"numeric takes > or >= and then < or <=, not {lower[0]} and {upper[0]}")
    if lower[1] >= upper[1]:
        raise InvalidFilterPattern(f"numeric has no values between {lower[1]} and {upper[1]}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES_OF_TEXT = frozenset({"S", "N", "B", "SS", "NS", "BS"})
_TYPES_OF_TRUTH = frozenset({"BOOL", "NULL"})
_IMAGES = ("Keys", "NewImage", "OldImage")


def never_matching(pattern: str) -> list[str]:
    """A sentence for each condition of a valid pattern that no stream record can meet, although AWS takes it.

    Numbers of an item are text in a stream record (rule 29), and every value stands below its type (rule 28).
    """
    return list(_hopeless(json.loads(pattern)))


def _hopeless(pattern: Mapping[str, Any]) -> Iterator[str]:
    for alternative in pattern.get("$or", []):
        yield from _hopeless(alternative)
    change = pattern.get("dynamodb", {})
    if isinstance(change, dict):
        for image in _IMAGES:
            yield from _in_attributes(change.get(image, {}), f"dynamodb.{image}")


def _in_attributes(attributes: object, where: str) -> Iterator[str]:
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if name == "$or":
            for alternative in value:
                yield from _in_attributes(alternative, where)
        else:
            yield from _in_attribute(value, f"{where}.{name}")


def _in_attribute(value: object, where: str) -> Iterator[str]:
    """`value` is what a pattern wants of one attribute: conditions below its type, as in {"S": ["text"]}."""
    if not isinstance(value, dict):
        yield f'{where} names no type: wanted {{"S": [...]}} or the like around the list'
        return
    for kind, wanted in value.items():
        if kind == "M":
            yield from _in_attributes(wanted, f"{where}.M")
        elif kind == "L":
            yield from _in_attribute(wanted, f"{where}.L")
        elif kind not in _TYPES_OF_TEXT | _TYPES_OF_TRUTH:
            yield f"{where}.{kind}: there is no type {kind} in a stream record"
        else:
            yield from _in_leaf(wanted, kind, f"{where}.{kind}")


def _in_leaf(conditions: object, kind: str, where: str) -> Iterator[str]:
    wanted = "text" if kind in _TYPES_OF_TEXT else "true or false"
    for condition in conditions if isinstance(conditions, list) else ():
        if not _possible(condition, kind):
            said = "numeric" if isinstance(condition, dict) and "numeric" in condition else json.dumps(condition)
            yield f"{where}: {said} never matches, as the value is {wanted}"


def _possible(condition: object, kind: str) -> bool:
    if isinstance(condition, dict):
        return "numeric" not in condition and (kind in _TYPES_OF_TEXT or not _ON_TEXT.keys() & condition)
    return isinstance(condition, str if kind in _TYPES_OF_TEXT else bool)
