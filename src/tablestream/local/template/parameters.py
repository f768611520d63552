"""The values of a template's parameters, and what CloudFormation makes of a template with them before anything else.

That is what AWS::LanguageExtensions does: Fn::ForEach, Fn::Length, Fn::ToJsonString, a default of Fn::FindInMap.
Neither the SAM translator nor the embedded AWS does it. (I) The rules are those of the CloudFormation user guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tablestream.local.errors import TemplateError
from tablestream.local.template.source import Template, check

Json = Any  # what a template holds

STAND_IN = "stand-in-"
"""The beginning of the text that stands in the place of a value that is not known here."""
_SSM = "AWS::SSM::Parameter::Value<"


def parameter_values(
    template: dict[str, Any], given: Mapping[str, str], overrides: Mapping[str, str], stack: str = ""
) -> tuple[dict[str, str], list[str]]:
    """The values of the parameters: `given` on the command line before `overrides` of samconfig.toml and defaults.

    An override of a parameter that the template does not declare is left out, as the SAM CLI does. Parameters that name
    one of SSM become plain ones in `template`: what is given is the value, and others get text in its place, which the
    notes that are returned say. For a nested `stack` they are given by its parent. Raises TemplateError for one that
    was given and is not declared, for parameters without a value, and for a value that its declaration does not allow.
    """
    declared: dict[str, Any] = template.get("Parameters") or {}
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}, but {', '.join(sorted(declared))}")
    values = {**{name: value for name, value in overrides.items() if name in declared}, **given}
    unset = {name: one for name, one in declared.items() if name not in values}
    if missing := [name for name, one in unset.items() if "Default" not in one and not _is_of_ssm(one)]:
        wanted = " ".join(_way_to_give(name, stack) for name in missing)
        raise TemplateError(f"no value and no default for {', '.join(missing)}: wanted {wanted}")
    notes = _notes_of_ssm({name: one for name, one in unset.items() if _is_of_ssm(one)}, stack)
    for name, one in declared.items():
        if _is_of_ssm(one):
            _make_plain(name, one, values)
    for name, declaration in declared.items():
        if name in values:
            _check_value(name, values[name], declaration)
        else:
            values[name] = text_of(declaration["Default"])  # moto reads the default of a list wrongly
    return values, notes


def _way_to_give(name: str, stack: str) -> str:
    return f"{name} in the Parameters of {stack}" if stack else f"--parameter {name}=VALUE"


def _is_of_ssm(declaration: Mapping[str, Any]) -> bool:
    """Tell whether a parameter has the name of one in SSM, whose value it stands for."""
    return str(declaration.get("Type")).startswith(_SSM)


def _make_plain(name: str, declaration: dict[str, Any], values: dict[str, str]) -> None:
    """Make a parameter of SSM one that has the value itself: what was given, or text in its place."""
    declaration["Type"] = "CommaDelimitedList" if "List" in declaration["Type"] else "String"
    values.setdefault(name, f"{STAND_IN}{name}")


def _notes_of_ssm(unset: Mapping[str, Mapping[str, Any]], stack: str) -> list[str]:
    """Return one note on all parameters of SSM whose values are not known here."""
    if not unset:
        return []
    (first, declaration), *others = unset.items()
    if not others:
        named = f"{declaration['Default']} in SSM" if "Default" in declaration else "a value in SSM"
        return [f"{first} is {named}, not known here: {_way_to_give(first, stack)} gives it"]
    way = f"NAME in the Parameters of {stack}" if stack else "--parameter NAME=VALUE"
    return [f"{', '.join(unset)} are values in SSM, not known here: {way} gives one"]


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
    "AllowedValues": lambda value, allowed: value in [text_of(one) for one in allowed],
    "AllowedPattern": lambda value, pattern: re.fullmatch(str(pattern), value) is not None,
    "MinValue": lambda value, least: _number(value) >= float(least),
    "MaxValue": lambda value, most: _number(value) <= float(most),
}


def text_of(value: object) -> str:
    """The text that CloudFormation makes of a value: true and false are in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


TRANSFORM = "AWS::LanguageExtensions"
_LOOP = "Fn::ForEach"
_WANTED = 'wanted [Name, [values], {"Key${Name}": …}]'
_SECTIONS = ("Conditions", "Resources", "Outputs")
_MEMBERS = 3  # of a loop: the name, the values, and what is made for each


def expanded(template: Template, parameters: Mapping[str, str]) -> Template:
    """The template without what the transform does away with; each name that a loop makes is where the loop is.

    `parameters` are the values of the template's. Raises TemplateError for a loop that is none, and for loops in a
    template that does not ask for the transform.
    """
    content = template.content
    loops = [name for section in _SECTIONS for name in content.get(section) or {} if str(name).startswith(_LOOP)]
    if TRANSFORM not in _transforms(content):
        if loops:
            raise TemplateError(f"{loops[0]}: wanted Transform: {TRANSFORM}, which does loops")
        return template
    extension = _Extension(content.get("Mappings") or {}, parameters)
    made: dict[str, Json] = {}
    lines = dict(template.lines)
    for name, value in content.items():
        if name not in _SECTIONS:
            made[name] = value if name in {"Mappings", "Parameters"} else extension.carried_out(value)
            continue
        section: dict[str, Json] = {}
        for key, member in value.items():
            part = extension.carried_out({key: member})
            if again := sorted(set(part) & set(section)):
                raise TemplateError(f"{key} makes {again[0]}, which is there already")
            section |= part
            lines |= {one: lines[key] for one in part if one not in lines and key in lines}
        made[name] = section
    kept = [one for one in _transforms(content) if one != TRANSFORM]
    made["Transform"] = kept[0] if len(kept) == 1 else kept
    if not kept:
        del made["Transform"]
    check(made)
    return replace(template, content=made, lines=lines)


def _transforms(content: Mapping[str, Json]) -> list[Json]:
    named = content.get("Transform") or []
    return named if isinstance(named, list) else [named]


@dataclass(frozen=True, slots=True)
class _Extension:
    """The transform with what it needs to know: mappings, the parameters' values, and the names that loops bind."""

    mappings: Mapping[str, Json]
    parameters: Mapping[str, str]
    bound: Mapping[str, str] = field(default_factory=dict)

    def carried_out(self, value: Json) -> Json:
        """The value with each function of the transform carried out."""
        if isinstance(value, list):
            return [self.carried_out(entry) for entry in value]
        if isinstance(value, str):
            return self._named(value)
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"} and isinstance(name := value["Ref"], str) and name in self.bound:
            return self.bound[name]
        made: dict[str, Json] = {}
        for key, entry in value.items():
            made |= self._looped(key, entry) if _is_loop(key) else {self._named(key): self.carried_out(entry)}
        return self._computed(made)

    def _named(self, text: Json) -> Json:
        """Text with the bound names in it replaced: ${Name}, and &{Name} for letters and digits of it only."""
        if not isinstance(text, str):
            return text
        for name, value in self.bound.items():
            text = text.replace(f"${{{name}}}", value).replace(f"&{{{name}}}", re.sub("[^A-Za-z0-9]", "", value))
        return text

    def _looped(self, key: str, loop: Json) -> dict[str, Json]:
        if not isinstance(loop, list) or len(loop) != _MEMBERS or not isinstance(loop[2], dict):
            raise TemplateError(f"{key}: {_WANTED}")
        name, values, body = loop
        made: dict[str, Json] = {}
        for value in self._values(key, values):
            inner = replace(self, bound={**self.bound, str(name): value})
            made |= inner.carried_out(body)
        return made

    def _values(self, key: str, values: Json) -> Iterator[str]:
        """The values of a loop: those that are listed, and those of parameters that are lists."""
        for one in values if isinstance(values, list) else [values]:
            reference = str(one["Ref"]) if isinstance(one, dict) and set(one) == {"Ref"} else ""
            if reference in self.bound:
                yield self.bound[reference]
            elif reference in self.parameters:
                yield from (part.strip() for part in self.parameters[reference].split(",") if part.strip())
            elif isinstance(one, str | int | float):
                yield str(self._named(one))
            else:
                raise TemplateError(f"{key}: its values are {json.dumps(one)}: wanted text, or a parameter's Ref")

    def _computed(self, value: dict[str, Json]) -> Json:
        if set(value) == {"Fn::Length"} and isinstance(listed := self._plain(value["Fn::Length"]), list):
            return len(listed)
        if set(value) == {"Fn::ToJsonString"}:
            return _as_json(value["Fn::ToJsonString"])
        if set(value) == {"Fn::Sub"} and isinstance(text := value["Fn::Sub"], str) and "${" not in text:
            return text  # of a name that a loop has made, as in {"Ref": {"Fn::Sub": "Table${Side}"}}
        if set(value) == {"Fn::FindInMap"} and len(asked := value["Fn::FindInMap"]) == _MEMBERS + 1:
            return self._found(*asked)
        return value

    def _found(self, name: Json, top: Json, second: Json, otherwise: Json) -> Json:
        """The value in a mapping, or the default; the function itself where a key is only known with the stack."""
        keys = [self._plain(one) for one in (name, top, second)]
        if not all(isinstance(one, str) for one in keys):
            return {"Fn::FindInMap": [name, top, second]}
        found: Json = self.mappings
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return otherwise["DefaultValue"] if found is None else found

    def _plain(self, value: Json) -> Json:
        """The value of a parameter that is referred to; a list for text with commas is its parts."""
        name = str(value["Ref"]) if isinstance(value, dict) and set(value) == {"Ref"} else ""
        if name not in self.parameters:
            return value
        text = self.parameters[name]
        return text.split(",") if "," in text else text


def _is_loop(key: Json) -> bool:
    return isinstance(key, str) and key.startswith(f"{_LOOP}::")


def _as_json(value: Json) -> Json:
    """Text in JSON; what is only known with the stack becomes a variable of Fn::Sub in it."""
    variables: dict[str, Json] = {}

    def literal(part: Json) -> Json:
        if isinstance(part, list):
            return [literal(entry) for entry in part]
        if not isinstance(part, dict):
            return part.replace("${", "${!") if isinstance(part, str) else part
        if len(part) == 1 and (name := next(iter(part))) and (name == "Ref" or str(name).startswith("Fn::")):
            variables[f"Value{len(variables)}"] = part
            return f"${{Value{len(variables) - 1}}}"
        return {key: literal(entry) for key, entry in part.items()}

    text = json.dumps(literal(value), separators=(",", ":"))
    return {"Fn::Sub": [text, variables]} if variables else text.replace("${!", "${")
