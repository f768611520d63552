"""Resources that the embedded AWS cannot create, or that would run functions there: taken out, and named.

A resource that cannot be created gets a stand-in, so that references to it still resolve. Other ways to invoke a
function than a DynamoDB stream are taken off their resources: moto would look for Docker to run the function.
`template.gaps` has the list of all that is not done here, with the reasons.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tablestream.local.cloud.apis import SERVED
from tablestream.local.cloud.versions import FUNCTION
from tablestream.local.template.gaps import DESTINATIONS, REPLICAS, TRIGGERS
from tablestream.local.template.parameters import STAND_IN

Json = Any  # what a template holds
Attribute = Callable[[str, str], Json]
"""What becomes of an attribute of a resource: a value to put in its place, None if it stays."""

ROLE = "LocalFunctionRole"
SUBSCRIPTION = "AWS::SNS::Subscription"
TABLE, GLOBAL_TABLE, PARAMETER = "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::SSM::Parameter"
_TOPIC = "AWS::SNS::Topic"
# moto would fetch and create the nested template; subscriptions are made when the stack is there.
_NEVER = {"AWS::CloudFormation::Stack", SUBSCRIPTION}
_REFERENCES = {
    ("AWS::SQS::Queue", "QueueUrl"),
    (_TOPIC, "TopicArn"),
    ("AWS::StepFunctions::StateMachine", "Arn"),
}
"""Attributes that moto does not know, and that `Ref` gives as well."""
_OF_A_TABLE = (
    "AttributeDefinitions",
    "KeySchema",
    "LocalSecondaryIndexes",
    "StreamSpecification",
    "TableName",
    "TimeToLiveSpecification",
)


@dataclass(slots=True)
class Replaced:
    """The changes that were made. Mutable: they are put together step by step.

    `missing` has the names of resources with a stand-in by type, `subscriptions` those of topics, by logical id.
    """

    notes: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)


def stand_in(
    template: dict[str, Any],
    mappings: dict[str, dict[str, Any]],
    models: Mapping[str, type],
    apis: dict[str, dict[str, Any]],
) -> Replaced:
    """Change `template` so that it can be created from `models`, by resource type.

    `mappings` are the event source mappings taken out of it, `apis` the parts of its HTTP APIs: what they refer to is
    changed likewise.
    """
    replaced = Replaced()
    resources = template["Resources"]
    for name, resource in resources.items():
        _take_off(name, resource, replaced)
    kinds = {name: resource["Type"] for name, resource in resources.items()}
    if FUNCTION in kinds.values():
        resources[ROLE] = _role()
    for name, kind in kinds.items():
        if kind not in models or kind in _NEVER or kind in SERVED:
            resources[name] = stand_in_for(name, resources[name])
            if kind != SUBSCRIPTION and not (kind in SERVED and apis):
                replaced.missing[kind].append(name)
    left = _NEVER | SERVED
    there = {name: models[kind] for name, kind in kinds.items() if kind in models and kind not in left}
    attribute = _attributes(kinds, resources, there)
    for section in (template, replaced.subscriptions, mappings, apis):
        for name in ("Resources", "Outputs") if section is template else list(section):
            if name in section:
                section[name] = _with_attributes(section[name], attribute)
    _forget_destinations(mappings, replaced)
    return replaced


def replace_with_stand_in(template: dict[str, Any], name: str) -> None:
    """Put a stand-in in the place of a resource, and text in the place of its attributes."""
    template["Resources"][name] = stand_in_for(name, template["Resources"][name])

    def attribute(owner: str, attribute: str) -> Json:
        return f"{STAND_IN}{owner}-{attribute}" if owner == name else None

    for section in ("Resources", "Outputs"):
        if section in template:
            template[section] = _with_attributes(template[section], attribute)


def stand_in_for(name: str, resource: dict[str, Any]) -> dict[str, Any]:
    """A resource the embedded AWS can create, to be referred to in place of `resource`."""
    kept = {key: resource[key] for key in ("Condition",) if key in resource}
    properties = {"Name": f"{STAND_IN}{name}", "Type": "String", "Value": resource["Type"]}
    return {"Type": PARAMETER, "Properties": properties, **kept}


def _take_off(name: str, resource: dict[str, Any], replaced: Replaced) -> None:
    """Take off a resource what would invoke functions or stop it from being created, and say so."""
    kind, properties = resource["Type"], resource.setdefault("Properties", {})
    if kind == SUBSCRIPTION:
        replaced.subscriptions[name] = resource
    elif kind == _TOPIC:
        replaced.subscriptions |= _inline(name, resource)
    elif kind == "AWS::Events::Rule" or _invoked_by(kind, properties):
        replaced.notes.append(TRIGGERS.of(f"{name} ({kind})"))
    elif kind == FUNCTION:
        properties["Role"] = {"Fn::GetAtt": [ROLE, "Arn"]}  # moto looks whether it exists, and IAM does nothing here
    elif kind == GLOBAL_TABLE:
        _make_a_table(resource)
        replaced.notes.append(REPLICAS.of(f"{name} ({kind})"))


def _inline(name: str, topic: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Take the subscriptions of functions off a topic; return them as resources of their own."""
    properties = topic["Properties"]
    inline = properties.get("Subscription")
    if not isinstance(inline, list):
        return {}
    own = [one for one in inline if isinstance(one, dict) and one.get("Protocol") == "lambda"]
    properties["Subscription"] = [one for one in inline if one not in own]
    kept = {key: topic[key] for key in ("Condition",) if key in topic}
    return {
        f"{name}Subscription{number}": {
            "Type": SUBSCRIPTION,
            "Properties": {"TopicArn": {"Ref": name}, **one},
            **kept,
        }
        for number, one in enumerate(own)
    }


def _invoked_by(kind: str, properties: dict[str, Any]) -> bool:
    """Take off a bucket what invokes functions; whether anything was."""
    notifications = properties.get("NotificationConfiguration") if kind == "AWS::S3::Bucket" else None
    return isinstance(notifications, dict) and notifications.pop("LambdaConfigurations", None) is not None


def _make_a_table(resource: dict[str, Any]) -> None:
    properties = resource["Properties"]
    kept = {name: properties[name] for name in _OF_A_TABLE if name in properties}
    if indexes := properties.get("GlobalSecondaryIndexes"):
        names = ("IndexName", "KeySchema", "Projection")
        kept["GlobalSecondaryIndexes"] = [{name: index[name] for name in names if name in index} for index in indexes]
    resource["Type"], resource["Properties"] = TABLE, {**kept, "BillingMode": "PAY_PER_REQUEST"}


def _role() -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": policy}}


def _attributes(
    kinds: Mapping[str, str], resources: Mapping[str, dict[str, Any]], there: Mapping[str, type]
) -> Attribute:
    """A stand-in for each attribute that moto does not know: a reference, the value, or text that says so."""

    def attribute(name: str, attribute: str) -> Json:
        kind = kinds.get(name)
        if kind is None or _knows(there.get(name), attribute):
            return None
        if (kind, attribute) in _REFERENCES:
            return {"Ref": name}
        if (kind, attribute) == (PARAMETER, "Value"):
            return resources[name]["Properties"].get("Value")
        return f"{STAND_IN}{name}-{attribute}"

    return attribute


def _knows(model: Any, attribute: str) -> bool:
    return hasattr(model, "get_cfn_attribute") and bool(model.has_cfn_attr(attribute))


def _with_attributes(value: Json, attribute: Attribute) -> Json:
    """The value with each attribute that is to be replaced replaced, and the others in the form that moto reads."""
    if isinstance(value, list):
        return [_with_attributes(entry, attribute) for entry in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::GetAtt"}:
        path = value["Fn::GetAtt"]
        name, *rest = path.split(".", 1) if isinstance(path, str) else path
        spelled = ".".join(map(str, rest))
        found = attribute(str(name), spelled)
        return {"Fn::GetAtt": [name, spelled]} if found is None else found
    if set(value) == {"Fn::Sub"}:
        return {"Fn::Sub": _substituted(value["Fn::Sub"], attribute)}
    return {key: _with_attributes(entry, attribute) for key, entry in value.items()}


def _substituted(value: Json, attribute: Attribute) -> Json:
    if isinstance(value, list):
        return [_substituted(value[0], attribute), *(_with_attributes(entry, attribute) for entry in value[1:])]
    if not isinstance(value, str):
        return value

    def spelled(found: re.Match[str]) -> str:
        replacement = attribute(found[1], found[2])
        if replacement is None:
            return found[0]
        return (
            f"${{{replacement['Ref']}}}" if isinstance(replacement, dict) and "Ref" in replacement else str(replacement)
        )

    return re.sub(r"\$\{([A-Za-z0-9]+)\.([^}]+)\}", spelled, value)


def _forget_destinations(mappings: dict[str, dict[str, Any]], replaced: Replaced) -> None:
    """A destination that is not there takes no messages."""
    for name, mapping in mappings.items():
        properties = mapping.get("Properties") or {}
        if STAND_IN in str(properties.get("DestinationConfig", "")):
            del properties["DestinationConfig"]
            replaced.notes.append(DESTINATIONS.of(name))
