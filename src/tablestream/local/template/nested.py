"""Nested templates that are local files: what they make becomes part of the template that names them.

Each is translated by itself first, as in AWS. Then its names get that of the nested stack in front, references to its
parameters become what the parent gives, and the parent's references to its outputs become their values.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tablestream.local.errors import TemplateError
from tablestream.local.template.gaps import NESTED_STACKS
from tablestream.local.template.parameters import text_of
from tablestream.local.template.source import VARIABLE

Json = Any  # what a template holds
_LOCATIONS = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}
_ELSEWHERE = re.compile(r"(https?|s3)://")
_STACK_NAME = "AWS::StackName"
_OUTPUT = "Outputs."


@dataclass(frozen=True, slots=True)
class NestedStack:
    """A nested stack as the parent has it: the file of its template, and what the parent gives for its parameters."""

    name: str
    path: Path
    parameters: Mapping[str, Json]
    condition: str | None = None


def local_files(content: Mapping[str, Json], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names of the nested stacks of a template in a folder, with their files, there or not."""
    for name, resource in content["Resources"].items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        location = (resource.get("Properties") or {}).get(_LOCATIONS[kind]) if kind in _LOCATIONS else None
        if isinstance(location, str) and not _ELSEWHERE.match(location):
            yield name, folder / location


def take_nested(content: Mapping[str, Json], folder: Path, notes: list[str]) -> list[NestedStack]:
    """Take the nested stacks whose templates are files out of a template in a folder; add a note for each without."""
    found: list[NestedStack] = []
    resources = content["Resources"]
    for name, path in list(local_files(content, folder)):
        resource = resources[name]
        if not path.is_file():
            notes.append(NESTED_STACKS.of(f"{name}: {path}"))
            continue
        del resources[name]
        parameters = resource["Properties"].get("Parameters") or {}
        if not isinstance(parameters, dict):
            raise TemplateError(f"{name}: Parameters are {parameters!r}: wanted an object")
        found.append(NestedStack(name, path, parameters, resource.get("Condition")))
    return found


def known_values(given: Mapping[str, Json], values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Json]]:
    """Return the parameters of a nested stack of which the text is known, and those that only the stack knows.

    `values` are those of the parent's parameters.
    """
    known: dict[str, str] = {}
    others: dict[str, Json] = {}
    for name, value in given.items():
        if value == {"Ref": "AWS::NoValue"}:
            continue
        text = known_text(value, values)
        if text is None:
            others[name] = value
        else:
            known[name] = text
    return known, others


def known_text(value: Json, values: Mapping[str, str]) -> str | None:
    """The text that a value is with these values of parameters; None where only the stack knows it."""
    if isinstance(value, list):
        parts = [known_text(entry, values) for entry in value]
        return None if None in parts else ",".join(str(part) for part in parts)
    if not isinstance(value, dict):
        return text_of(value)
    if set(value) == {"Ref"}:
        return values.get(str(value["Ref"]))
    text = value.get("Fn::Sub")
    if isinstance(text, str) and all(name in values for name in VARIABLE.findall(text)):
        return VARIABLE.sub(lambda found: values[found[1]], text).replace("${!", "${")
    return None


def with_text_keys(value: Json, values: Mapping[str, str]) -> Json:
    """The value with each key of Fn::FindInMap as text: of a parameter that is a number the embedded AWS makes one."""
    if isinstance(value, list):
        return [with_text_keys(entry, values) for entry in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::FindInMap"} and isinstance(asked := value["Fn::FindInMap"], list):
        texts = [known_text(key, values) for key in asked[1:]]
        keys = [key if text is None else text for key, text in zip(asked[1:], texts, strict=True)]
        return {"Fn::FindInMap": [*asked[:1], *keys]}
    return {key: with_text_keys(entry, values) for key, entry in value.items()}


class Names(Protocol):
    """The meaning of names in a template; None leaves one as it is."""

    def reference(self, name: str) -> Json:
        """Return what stands for a Ref."""
        ...

    def attribute(self, name: str, attribute: str) -> Json:
        """Return what stands for a Fn::GetAtt."""
        ...

    def label(self, name: str) -> str:
        """Return the name of a condition or a mapping."""
        ...


def rewritten(value: Json, names: Names) -> Json:
    """The value with each name in it replaced."""
    if isinstance(value, list):
        return [rewritten(entry, names) for entry in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (function, argument) = next(iter(value.items()))
        if function in _REWRITE:
            made = _REWRITE[function](argument, names)
            return value if made is None else made
    return {key: rewritten(entry, names) for key, entry in value.items()}


def _reference(argument: Json, names: Names) -> Json:
    return names.reference(str(argument))


def _attribute(argument: Json, names: Names) -> Json:
    name, *rest = argument.split(".", 1) if isinstance(argument, str) else argument
    return names.attribute(str(name), ".".join(map(str, rest)))


def _if(argument: Json, names: Names) -> Json:
    condition, *branches = argument
    return {"Fn::If": [names.label(str(condition)), *(rewritten(branch, names) for branch in branches)]}


def _in_map(argument: Json, names: Names) -> Json:
    name, *keys = argument
    wanted = names.label(name) if isinstance(name, str) else rewritten(name, names)
    return {"Fn::FindInMap": [wanted, *(rewritten(key, names) for key in keys)]}


def _condition(argument: Json, names: Names) -> Json:
    """A condition that is named; in a policy's statement it is an object, with nothing of the template."""
    return {"Condition": names.label(argument) if isinstance(argument, str) else rewritten(argument, names)}


def _substitution(argument: Json, names: Names) -> Json:
    text, own = (argument, {}) if isinstance(argument, str) else argument
    variables: dict[str, Json] = {name: rewritten(value, names) for name, value in own.items()}

    def replaced(found: re.Match[str]) -> str:
        name, _, attribute = found[1].partition(".")
        if found[1] in own:
            return found[0]
        made = names.attribute(name, attribute) if attribute else names.reference(name)
        if made is None:
            return found[0]
        if isinstance(made, str):
            return made
        if isinstance(made, dict) and isinstance(simple := made.get("Ref", made.get("Fn::Sub")), str):
            return f"${{{simple}}}" if "Ref" in made else simple
        path = made.get("Fn::GetAtt") if isinstance(made, dict) else None
        if path and all(isinstance(part, str) for part in path):
            return f"${{{path if isinstance(path, str) else '.'.join(path)}}}"
        variable = f"Nested{len(variables)}{re.sub('[^A-Za-z0-9]', '', found[1])}"
        variables[variable] = made
        return f"${{{variable}}}"

    made = VARIABLE.sub(replaced, text)
    return {"Fn::Sub": [made, variables] if variables else made}


_REWRITE = {
    "Ref": _reference,
    "Fn::GetAtt": _attribute,
    "Fn::If": _if,
    "Fn::FindInMap": _in_map,
    "Fn::Sub": _substitution,
    "Condition": _condition,
}


@dataclass(frozen=True, slots=True)
class _Inside:
    """The names of a nested template, as they are in the parent's."""

    stack: str
    prefix: str
    given: Mapping[str, Json]

    def reference(self, name: str) -> Json:
        if name == _STACK_NAME:
            return {"Fn::Sub": f"${{{_STACK_NAME}}}-{self.stack}"}
        if name in self.given:
            return self.given[name]
        return None if name.startswith("AWS::") else {"Ref": f"{self.prefix}{name}"}

    def attribute(self, name: str, attribute: str) -> Json:
        return {"Fn::GetAtt": [f"{self.prefix}{name}", attribute]}

    def label(self, name: str) -> str:
        return f"{self.prefix}{name}"


def prefix_of(stack: str, nested: Mapping[str, Json], taken: Container[str]) -> str:
    """The text before the names of a nested template: the stack's name, or a longer one where a name is taken."""
    prefix = stack
    while any(f"{prefix}{name}" in taken for name in nested["Resources"]):
        prefix += "Nested"
    return prefix


def renamed(plain: Mapping[str, Json], stack: NestedStack, prefix: str, given: Mapping[str, Json]) -> dict[str, Json]:
    """A nested template in plain CloudFormation with the names that it has in the parent's.

    `given` are the values of its parameters that are not text. What has a condition, or is in a stack that has one,
    keeps to both.
    """
    names = _Inside(stack.name, prefix, given)
    made: dict[str, Json] = {
        section: {f"{prefix}{name}": rewritten(member, names) for name, member in (plain.get(section) or {}).items()}
        for section in ("Conditions", "Mappings", "Parameters", "Resources")
    }
    made["Outputs"] = {name: rewritten(one["Value"], names) for name, one in (plain.get("Outputs") or {}).items()}
    for name, resource in made["Resources"].items():
        if isinstance(own := resource.get("Condition"), str):
            resource["Condition"] = names.label(own)
        if "DependsOn" in resource:
            listed = resource["DependsOn"]
            resource["DependsOn"] = [f"{prefix}{one}" for one in ([listed] if isinstance(listed, str) else listed)]
        if stack.condition is not None:
            resource["Condition"] = _both(stack.condition, resource.get("Condition"), name, made["Conditions"])
    return made


def _both(parents: str, own: str | None, name: str, conditions: dict[str, Json]) -> str:
    if own is None:
        return parents
    conditions[f"{name}There"] = {"Fn::And": [{"Condition": parents}, {"Condition": own}]}
    return f"{name}There"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of nested stacks, by stack and name, for the template that has the stacks: a way to read names."""

    of: Mapping[str, Mapping[str, Json]]
    looked_up: tuple[tuple[str, str], ...] = ()

    def reference(self, name: str) -> Json:
        """Return the ARN of a nested stack."""
        if name not in self.of:
            return None
        where = "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack"
        return {"Fn::Sub": f"{where}/${{{_STACK_NAME}}}-{name}/local"}

    def attribute(self, name: str, attribute: str) -> Json:
        """Return the value of an output. Raises TemplateError for one that is not there."""
        if name not in self.of:
            return None
        wanted = attribute.removeprefix(_OUTPUT)
        if wanted == attribute or wanted not in self.of[name]:
            known = ", ".join(f"{_OUTPUT}{one}" for one in self.of[name]) or "none"
            raise TemplateError(f"{name} has no {attribute}: its template has {known}")
        if (name, wanted) in self.looked_up:
            raise TemplateError(f"{name}: {attribute} depends on itself")
        return rewritten(self.of[name][wanted], Outputs(self.of, (*self.looked_up, (name, wanted))))

    def label(self, name: str) -> str:
        """Return the name of a condition or a mapping, which is the parent's own."""
        return name
