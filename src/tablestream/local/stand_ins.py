"""What the embedded AWS cannot create, or what would try to run functions there: taken out, and named.

A resource that cannot be created gets a stand-in, so that references to it still resolve. Other ways to invoke a
function than a DynamoDB stream are taken off their resources: moto would look for Docker to run the function.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

Json = Any  # what a template holds
# moto would fetch and create the nested template.
_NEVER = {"AWS::CloudFormation::Stack"}


def stand_in(template: dict[str, Any], supported: frozenset[str]) -> tuple[list[str], list[str]]:
    """Change `template` so that it can be created from the types `supported`.

    Returns notes about what invokes no function here, and a line for each type of resource that has a stand-in.
    """
    notes = [note for name, resource in template["Resources"].items() for note in _other_sources(name, resource)]
    replaced: set[str] = set()
    missing: dict[str, list[str]] = defaultdict(list)
    for name, resource in template["Resources"].items():
        if (kind := resource["Type"]) not in supported or kind in _NEVER or _is_subscription(resource):
            replaced.add(name)
            if not _is_subscription(resource):
                missing[kind].append(name)
            template["Resources"][name] = stand_in_for(name, resource)
    for section in ("Resources", "Outputs"):
        if section in template:
            template[section] = _without_attributes(template[section], replaced)
    return notes, [f"{kind} is not emulated: {', '.join(names)}" for kind, names in sorted(missing.items())]


def stand_in_for(name: str, resource: dict[str, Any]) -> dict[str, Any]:
    """A resource the embedded AWS can create, to be referred to in place of `resource`."""
    kept = {key: resource[key] for key in ("Condition",) if key in resource}
    properties = {"Name": f"stand-in-{name}", "Type": "String", "Value": resource["Type"]}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties, **kept}


def _other_sources(name: str, resource: dict[str, Any]) -> list[str]:
    """Take off what else would invoke functions; a note for each."""
    kind, properties = resource["Type"], resource.get("Properties") or {}
    notifications = properties.get("NotificationConfiguration") if kind == "AWS::S3::Bucket" else None
    notifies = isinstance(notifications, dict) and notifications.pop("LambdaConfigurations", None)
    if notifies or kind == "AWS::Events::Rule" or _is_subscription(resource):
        return [f"{name} ({kind}) invokes no function here: only DynamoDB streams do"]
    return []


def _is_subscription(resource: dict[str, Any]) -> bool:
    properties = resource.get("Properties") or {}
    return resource["Type"] == "AWS::SNS::Subscription" and properties.get("Protocol") == "lambda"


def _without_attributes(value: Json, replaced: set[str]) -> Json:
    """A stand-in has no attributes: they become text that says so."""
    if isinstance(value, list):
        return [_without_attributes(entry, replaced) for entry in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::GetAtt"}:
        path = value["Fn::GetAtt"]
        name, _, attribute = path.partition(".") if isinstance(path, str) else (path[0], "", path[1])
        return f"stand-in-{name}-{attribute}" if name in replaced else value
    if set(value) == {"Fn::Sub"} and replaced:
        pattern = re.compile(r"\$\{(" + "|".join(map(re.escape, replaced)) + r")\.([^}]+)\}")
        text = value["Fn::Sub"]
        if isinstance(text, str):
            return {"Fn::Sub": pattern.sub(r"stand-in-\1-\2", text)}
        return {"Fn::Sub": [pattern.sub(r"stand-in-\1-\2", text[0]), *text[1:]]}
    return {key: _without_attributes(entry, replaced) for key, entry in value.items()}
