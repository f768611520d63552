"""Versions and aliases of functions: taken out of a template, with what refers to them left as it would be in AWS.

The embedded AWS has no aliases. A new stack's first version of a function is 1, the next 2: that they are made in the
template's order is inferred.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tablestream.local.template.references import referred

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping


Json = Any  # what a template holds
_VERSION, _ALIAS = "AWS::Lambda::Version", "AWS::Lambda::Alias"
FUNCTION, MAPPING = "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping"


@dataclass(frozen=True, slots=True)
class Qualifier:
    """A version or an alias of the function with the logical id `function`, and the version that it stands for.

    `name` is what comes behind the function's ARN; it and `version` may be intrinsic functions.
    """

    function: str
    name: Json
    version: Json

    def arn(self) -> Json:
        """The qualified ARN, as an intrinsic function."""
        return {"Fn::Join": [":", [{"Fn::GetAtt": [self.function, "Arn"]}, self.name]]}


def take_qualifiers(template: dict[str, Any]) -> dict[str, Qualifier]:
    """Take versions and aliases out of a translated template; returns them by logical id.

    References to them become the ARN or the number that they are in AWS. One of a function that the template does not
    make stays where it is.
    """
    resources = template["Resources"]
    taken = dict(_versions(resources))
    taken |= _aliases(resources, taken)
    for name in taken:
        del resources[name]
    for resource in resources.values():
        forget_dependencies(resource, taken)
        _permit_the_function(resource, taken)
    for section in ("Resources", "Outputs"):
        if taken and section in template:
            template[section] = _replaced(template[section], taken)
    return taken


def forget_dependencies(resource: dict[str, Any], names: Container[str]) -> None:
    """Take these names off what a resource depends on."""
    depends = resource.get("DependsOn", [])
    listed = [depends] if isinstance(depends, str) else depends
    if kept := [name for name in listed if name not in names]:
        resource["DependsOn"] = kept
    else:
        resource.pop("DependsOn", None)


def stream_of(source: Json) -> str | None:
    """The logical id of the table whose stream a Fn::GetAtt names; None where it names something else."""
    attribute = source.get("Fn::GetAtt") if isinstance(source, dict) else None
    is_stream = isinstance(attribute, list) and attribute[1:] == ["StreamArn"]
    return referred(source) if is_stream else None


def _permit_the_function(resource: dict[str, Any], taken: Mapping[str, Qualifier]) -> None:
    """The embedded AWS has no alias to permit the invocation of."""
    properties = resource.get("Properties") or {}
    name = referred(properties.get("FunctionName"))
    if resource["Type"] == "AWS::Lambda::Permission" and name is not None and name in taken:
        properties["FunctionName"] = {"Ref": taken[name].function}


def _versions(resources: Mapping[str, Any]) -> Iterator[tuple[str, Qualifier]]:
    made: Counter[str] = Counter()
    for name, resource in resources.items():
        if resource["Type"] == _VERSION and (function := _function(resource, resources)) is not None:
            made[function] += 1
            yield name, Qualifier(function, str(made[function]), str(made[function]))


def _aliases(resources: Mapping[str, Any], versions: Mapping[str, Qualifier]) -> dict[str, Qualifier]:
    aliases = {}
    for name, resource in resources.items():
        if resource["Type"] == _ALIAS and (function := _function(resource, resources)) is not None:
            version = _replaced(resource["Properties"]["FunctionVersion"], versions)
            aliases[name] = Qualifier(function, resource["Properties"]["Name"], version)
    return aliases


def _function(resource: Mapping[str, Any], resources: Mapping[str, Any]) -> str | None:
    """The logical id of the function that a version or an alias is of."""
    reference = resource["Properties"]["FunctionName"]
    functions = [name for name, other in resources.items() if other["Type"] == FUNCTION]
    named = [name for name in functions if resources[name].get("Properties", {}).get("FunctionName") == reference]
    found = named[0] if named else referred(reference)
    return found if found in functions else None


def _replaced(value: Json, taken: Mapping[str, Qualifier]) -> Json:
    """`value` without references to what was taken out."""
    if isinstance(value, list):
        return [_replaced(entry, taken) for entry in value]
    if not isinstance(value, dict):
        return value
    name = referred(value)
    if name is not None and name in taken and len(value) == 1:
        attribute = value.get("Fn::GetAtt", "")
        version = (attribute if isinstance(attribute, str) else attribute[1]).endswith("Version")
        return taken[name].version if version else taken[name].arn()
    if set(value) == {"Fn::Sub"}:
        return _in_text(value["Fn::Sub"], taken)
    return {key: _replaced(entry, taken) for key, entry in value.items()}


def _in_text(substitution: Json, taken: Mapping[str, Qualifier]) -> Json:
    """Fn::Sub, with what was taken out as variables of its own."""
    text, own = (substitution, {}) if isinstance(substitution, str) else substitution
    variables = _replaced(own, taken)
    for name, path in set(re.findall(r"\$\{(\w+)((?:\.\w+)?)\}", text)):
        if name in taken and name not in own:
            version = path.endswith("Version")
            variable = f"{name}Version" if version else name
            text = text.replace(f"${{{name}{path}}}", f"${{{variable}}}")
            variables[variable] = taken[name].version if version else taken[name].arn()
    return {"Fn::Sub": [text, variables] if variables else text}
