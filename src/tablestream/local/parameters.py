"""The values of a template's parameters, checked against what the template declares (moto takes anything)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tablestream.local.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def parameter_values(
    template: Mapping[str, Any], given: Mapping[str, str], overrides: Mapping[str, str]
) -> dict[str, str]:
    """What to create the stack with: `given` on the command line before `overrides` of samconfig.toml.

    An override of a parameter that the template does not declare is left out, as the SAM CLI does. Raises TemplateError
    for one that was given, for a parameter without a value, and for a value that its declaration does not allow.
    """
    declared: Mapping[str, Any] = template.get("Parameters") or {}
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}, but {', '.join(sorted(declared))}")
    values = {**{name: value for name, value in overrides.items() if name in declared}, **given}
    for name, declaration in declared.items():
        _check(name, values.get(name), declaration)
    return values


def _check(name: str, value: str | None, declaration: Mapping[str, Any]) -> None:
    if value is None:
        if "Default" not in declaration:
            raise TemplateError(f"the parameter {name} has no default: wanted --parameter {name}=VALUE")
        return
    for wanted, allows in _CONSTRAINTS.items():
        if wanted in declaration and not allows(value, declaration[wanted]):
            raise TemplateError(f"the parameter {name} is {value!r}: {wanted} is {declaration[wanted]}")


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")  # compares as false with everything: not allowed


_CONSTRAINTS: Mapping[str, Callable[[str, Any], bool]] = {
    "AllowedValues": lambda value, allowed: value in [_text(one) for one in allowed],
    "AllowedPattern": lambda value, pattern: re.fullmatch(str(pattern), value) is not None,
    "MinValue": lambda value, least: _number(value) >= float(least),
    "MaxValue": lambda value, most: _number(value) <= float(most),
}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
