"""The values of a template's parameters: given, of samconfig.toml, or by default; checked as CloudFormation does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tablestream.local.errors import TemplateError

STAND_IN = "stand-in-"
"""The beginning of the text that stands in the place of a value that is not known here."""
_SSM = "AWS::SSM::Parameter::Value<"


def parameter_values(
    template: dict[str, Any], given: Mapping[str, str], overrides: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The values of the parameters: `given` on the command line before `overrides` of samconfig.toml and defaults.

    An override of a parameter that the template does not declare is left out, as the SAM CLI does. Parameters that name
    one of SSM become plain ones in `template`: what is given is the value, and a default gets text in its place; the
    notes that are returned say so. Raises TemplateError for one that was given and is not declared, for parameters
    without a value, and for a value that its declaration does not allow.
    """
    declared: dict[str, Any] = template.get("Parameters") or {}
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}, but {', '.join(sorted(declared))}")
    values = {**{name: value for name, value in overrides.items() if name in declared}, **given}
    if missing := [name for name, one in declared.items() if name not in values and "Default" not in one]:
        wanted = " ".join(f"--parameter {name}=VALUE" for name in missing)
        raise TemplateError(f"no value and no default for {', '.join(missing)}: wanted {wanted}")
    notes = [note for name, one in declared.items() if (note := _without_ssm(name, one, values))]
    for name, declaration in declared.items():
        if name in values:
            _check_value(name, values[name], declaration)
        else:
            values[name] = _text(declaration["Default"])  # moto reads the default of a list wrongly
    return values, notes


def _without_ssm(name: str, declaration: dict[str, Any], values: dict[str, str]) -> str | None:
    """Make a parameter whose value is the name of a parameter in SSM one that has its value."""
    kind = str(declaration.get("Type"))
    if not kind.startswith(_SSM):
        return None
    declaration["Type"] = "CommaDelimitedList" if "List" in kind else "String"
    if name in values:
        return None
    values[name] = f"{STAND_IN}{name}"
    return f"{name} is {declaration['Default']} in SSM, not known here: --parameter {name}=VALUE gives it"


def _check_value(name: str, value: str, declaration: Mapping[str, Any]) -> None:
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
