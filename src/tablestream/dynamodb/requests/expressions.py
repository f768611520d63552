"""Expressions of a request, with a placeholder for each name and value: no attribute's name is ever a reserved word.

Conditions are boto3's (`boto3.dynamodb.conditions`), by what they say of themselves: boto3 is not imported here. A path
is written as boto3's `Attr` takes it, `settings.theme` or `items[0].price`, or as a tuple of names that stand for
themselves, dots and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tablestream.dynamodb.errors import InvalidRequest
from tablestream.dynamodb.requests.checks import check_names, check_path, wrong
from tablestream.dynamodb.requests.values import PLAIN, Tagging, tag

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase

Path = str | tuple[str | int, ...]
"""The place of an attribute."""

_STEP = re.compile(r"[^.\[\]]+(?![^\[]*\])")
_STEP_OR_NUMBER = re.compile(r"[^.\[\]]+")
_PATH = re.compile(r"[^.\[\]]+(?:\[\d+\])*(?:\.[^.\[\]]+(?:\[\d+\])*)*")


def steps_of(path: Path) -> tuple[str, ...]:
    """Return the names and numbers of a path, the same for each way to write it."""
    if isinstance(path, tuple):
        return tuple(map(str, path))
    check_path(path)
    return tuple(_STEP_OR_NUMBER.findall(path)) if "." in path or "[" in path else (path,)


def unasked(names: Iterable[str], fields: Sequence[Path]) -> tuple[str, ...]:
    """Return those of the attributes, each once, that a projection to `fields` leaves out; none where it is all."""
    return tuple([name for name in dict.fromkeys(names) if fields and name not in fields and (name,) not in fields])


class Expressions:
    """The names and values of one request."""

    def __init__(self) -> None:
        """Begin with none."""
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def path(self, path: Path) -> str:
        """Return a path with placeholders."""
        if isinstance(path, tuple):
            steps = [
                f"[{step}]" if place and type(step) is int else f".{self._name(step)}"
                for place, step in enumerate(path)
            ]
            return "".join(steps).removeprefix(".") or self._name(None)
        if type(path) is not str:
            check_path(path)
        if "." not in path and "[" not in path:
            return self._name(path)
        if not _PATH.fullmatch(path):
            raise InvalidRequest(f"wanted a path like settings.theme or items[0].price, got {path!r}")
        return _STEP.sub(lambda found: self._name(found.group()), path)

    def _name(self, name: object) -> str:
        if not isinstance(name, str) or not name:
            raise wrong("path", "the name of an attribute", None if name == "" else name)
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def value(self, value: object, path: Path = "", how: Tagging = PLAIN) -> str:
        """Return a placeholder for a plain value; `path` is what an error calls it."""
        return self.tagged(tag(value, how, path if isinstance(path, str) else ".".join(map(str, path))))

    def tagged(self, value: Mapping[str, Any]) -> str:
        """Return a placeholder for a value with its type tag."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def condition(self, condition: ConditionBase) -> str:
        """Return a condition of boto3 as DynamoDB reads it."""
        if not hasattr(condition, "get_expression"):
            raise InvalidRequest(f"wanted a condition like Attr('status').eq('new'), got {type(condition).__name__}")
        told = condition.get_expression()
        operands = [self._operand(value, condition) for value in told["values"]]
        return str(told["format"].format(*operands, operator=told["operator"]))

    def _operand(self, value: Any, condition: ConditionBase) -> str:
        if hasattr(value, "get_expression"):
            return self.condition(value)
        if hasattr(value, "begins_with"):  # boto3's Attr and Key
            return self.path(value.name)
        if condition.has_grouped_values and isinstance(value, Iterable):
            return f"({', '.join([self.value(entry, _name_of(condition)) for entry in value])})"
        return self.value(value, _name_of(condition))

    def paths(self, paths: Iterable[Path]) -> str:
        """Return the paths of a projection."""
        check_names("fields", paths)
        places = [self.path(path) for path in paths]
        if len(set(places)) < len(places):
            raise InvalidRequest("fields: wanted each attribute once, got one twice")
        return ", ".join(places)

    def into(self, request: dict[str, Any], **expressions: str) -> dict[str, Any]:
        """Put expressions, those that there are, with their names and values into a request, and return it."""
        request.update({name: expression for name, expression in expressions.items() if expression})
        if self._names:
            request["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            request["ExpressionAttributeValues"] = self._values
        return request

    @property
    def values(self) -> Mapping[str, Any]:
        """The values by their placeholders."""
        return self._values


def _name_of(condition: ConditionBase) -> str:
    """Return the name of the attribute that a condition is about."""
    first = condition.get_expression()["values"][0]
    return str(getattr(first, "name", ""))
