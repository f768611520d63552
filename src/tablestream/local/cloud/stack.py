"""The stack in the embedded AWS: its functions and event source mappings with every reference resolved."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from traceback import walk_tb
from typing import TYPE_CHECKING, TypeVar

from moto.cloudformation.models import Stack as MotoStack
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json, parse_and_create_resource, parse_output
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.sns.models import SNSBackend, sns_backends
from moto.sqs.models import sqs_backends

from tablestream.local.cloud.apis import read_api
from tablestream.local.cloud.functions import (
    CODE_BUCKET,
    CODE_KEY,
    Code,
    StreamMapping,
    invoked,
    read_function,
    read_mappings,
    with_qualifiers,
)
from tablestream.local.cloud.tables import refuse_misdeclared, refuse_tables_without_stream
from tablestream.local.cloud.translate import Json, Translated
from tablestream.local.cloud.unsupported import PARAMETER, TABLE, replace_with_stand_in
from tablestream.local.cloud.versions import FUNCTION
from tablestream.local.delivery.filters import FilterSet, InvalidFilterPattern
from tablestream.local.errors import TemplateError, reading
from tablestream.local.gateway.routes import HttpApi
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.template.gaps import SUBSCRIPTIONS
from tablestream.local.template.parameters import STAND_IN
from tablestream.local.trigger.queue import MOST_RECEIVED, QueueMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from tablestream.local.cloud.clients import Client


_IN_MAP = re.compile(r'"Fn::FindInMap": \["([^"]+)"')
LONGEST_WORDS = 300  # characters of what moto says
FIRST_REGION = "us-east-1"
_Shared = TypeVar("_Shared")
_OF_SUBSCRIPTION = ("FilterPolicyScope", "FilterPolicy")
_OWN_QUEUE = "tablestream-"
_NEEDED = {TABLE, FUNCTION}  # a stand-in for one of them would be of no use


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that was created.

    `notes` name what the template asks for and is not done here, `differences` what a user needs to know only when
    something is not as expected: resources that have a stand-in.
    """

    name: str
    outputs: Mapping[str, str]
    functions: Mapping[str, FunctionSpec]
    mappings: tuple[StreamMapping, ...]
    queues: tuple[QueueMapping, ...]
    apis: tuple[HttpApi, ...]
    notes: tuple[str, ...]
    differences: tuple[str, ...]


def create(translated: Translated, name: str, scratch: Path, client: Callable[[str], Client]) -> Stack:
    """Create the stack `name` and resolve what the trigger needs; inline code is written to a folder in `scratch`.

    What cannot be created gets a stand-in, but for tables and functions: then TemplateError is raised, and so it is if
    no stream invokes a function that can run here. Nothing else may use the embedded AWS until it returns.
    """
    stack, failed = _create(translated, name, client("s3"))
    _enable_ttl(translated, stack)
    resolve = partial(_resolve, stack=stack)
    resources = translated.template["Resources"]
    functions: dict[str, FunctionSpec] = {}
    for logical_id, code in translated.code.items():
        if _holds(resources.get(logical_id), stack) and code.unsupported is None:
            with reading(f"the function {logical_id}"):
                function = read_function(logical_id, resources[logical_id], code, scratch, resolve)
                functions[logical_id] = with_qualifiers(function, translated.qualifiers, resolve)
    wanted = {name: one for name, one in translated.mappings.items() if _holds(one, stack)}
    refuse_tables_without_stream(wanted, resources)
    conditional = {name: one for name, one in resources.items() if "Condition" in one and _holds(one, stack)}
    refuse_misdeclared({**conditional, **wanted}, translated.parameters, translated.source)
    of_queues = {name: one for name, one in wanted.items() if _reads_queue(one, resolve)}
    streams = {name: one for name, one in wanted.items() if name not in of_queues}
    mappings, notes = read_mappings(streams, functions, translated.code, resolve)
    queues, of_messages = _read_queues(of_queues, functions, resolve)
    subscriptions = {name: one for name, one in translated.subscriptions.items() if _holds(one, stack)}
    topics, of_topics = _subscribe(subscriptions, functions, resolve, translated.region)
    apis, of_apis = _read_apis(translated, functions, stack, resolve)
    called = {mapping.function for mapping in mappings} | {route.function for api in apis for route in api.routes}
    called |= {one.function for one in (*queues, *topics)}
    return Stack(
        name=name,
        outputs={one["OutputKey"]: str(_plain(one["OutputValue"])) for one in stack.outputs or []},
        functions=functions,
        mappings=tuple(replace(one, place=translated.source.place(one.logical_id)) for one in mappings),
        queues=(*queues, *topics),
        apis=tuple(apis),
        notes=(
            *translated.notes,
            *notes,
            *of_apis,
            *_function_notes({n: one for n, one in translated.code.items() if _holds(resources.get(n), stack)}, called),
            *_variable_notes([functions[name] for name in sorted(called)]),
            *of_messages,
            *of_topics,
        ),
        differences=(
            *(f"{kind} is not emulated: {', '.join(names)}" for kind, names in sorted(translated.missing.items())),
            *failed,
        ),
    )


def _reads_queue(mapping: Json, resolve: Callable[[Json], Json]) -> bool:
    return ":sqs:" in str(resolve((mapping.get("Properties") or {}).get("EventSourceArn")))


def _read_apis(
    translated: Translated,
    functions: Mapping[str, FunctionSpec],
    stack: MotoStack,
    resolve: Callable[[Json], Json],
) -> tuple[list[HttpApi], list[str]]:
    apis: list[HttpApi] = []
    notes: list[str] = []
    for name, parts in translated.apis.items():
        if _holds(parts, stack):
            with reading(f"the HTTP API {name}"):
                api, told = read_api(name, parts, functions, resolve, partial(_holds, stack=stack))
            notes += told
            if api.routes:
                apis.append(api)
    return apis, notes


def _function_notes(code: Mapping[str, Code], invoked: AbstractSet[str]) -> list[str]:
    """Notes on what the functions that streams and APIs invoke lack here, and on functions that are left out."""
    owners = _owners((note, name) for name in sorted(invoked) for note in code[name].notes)
    notes = [f"{names}: {note}" for note, names in owners.items()]
    return notes + [f"{name}: {one.unsupported}" for name, one in code.items() if one.unsupported]


def _variable_notes(functions: Iterable[FunctionSpec]) -> Iterator[str]:
    """The variables that have no value as they would in AWS, each with the functions that have it."""
    held = ((variable, function.logical_id) for function in functions for variable in function.environment.items())
    for (name, value), names in _owners(held).items():
        if STAND_IN in value:
            yield f"{names}: the variable {name} is {value}, as what it names is not emulated"
        elif "{{resolve:" in value:
            yield f"{names}: the variable {name} is {value}, which is not looked up here"


def _owners(pairs: Iterable[tuple[_Shared, str]]) -> dict[_Shared, str]:
    """The names that come with each thing, as text: what several functions have alike is told once."""
    names: dict[_Shared, list[str]] = {}
    for thing, name in pairs:
        names.setdefault(thing, []).append(name)
    return {thing: ", ".join(owners) for thing, owners in names.items()}


def _holds(resource: Mapping[str, Json] | None, stack: MotoStack) -> bool:
    """Whether the resource is there, and its condition true."""
    condition = None if resource is None else resource.get("Condition")
    return resource is not None and (condition is None or bool(stack.resource_map.lazy_condition_map[condition]))


def _create(translated: Translated, name: str, s3: Client) -> tuple[MotoStack, list[str]]:
    """The stack, and a line for each resource or output that only then turned out to be one that moto cannot create."""
    failed: list[str] = []
    while True:
        _upload_empty_code(s3, translated.region)
        try:
            return _attempt(translated, name), failed
        except Exception as error:  # moto's classes and, of what it did not think of, any
            words = " ".join((getattr(error, "message", "") or str(error)).split())[:LONGEST_WORDS]
            section, at_fault = _at_fault(error)
            told = _missing_key(error, translated.template, section, at_fault) or f"{type(error).__name__}: {words}"
            kind = _kind_to_replace(translated.template, section, at_fault)
            if kind in _NEEDED:
                refuse_misdeclared(
                    {at_fault: translated.template["Resources"][at_fault]}, translated.parameters, translated.source
                )
            if kind is None or kind in _NEEDED:
                what = f"{at_fault} ({kind})" if kind else "the stack"
                raise TemplateError(f"the embedded AWS cannot create {what}: {told}") from error
        if section == "Outputs":
            del translated.template["Outputs"][at_fault]
        else:
            replace_with_stand_in(translated.template, at_fault)
        failed.append(f"{kind} cannot be created here: {at_fault} ({told})")
        moto_api_backend.reset()


def _attempt(translated: Translated, name: str) -> MotoStack:
    # Not by HTTP: that would hide where it failed, and try again.
    backend = cloudformation_backends[DEFAULT_ACCOUNT_ID][translated.region]
    template = json.dumps(translated.template)
    stack: MotoStack = backend.create_stack(name=name, template=template, parameters=dict(translated.parameters))
    if stack.status != "CREATE_COMPLETE":
        raise TemplateError(f"the stack ended as {stack.status}")
    list(stack.output_map.values())  # each is resolved when it is looked at
    return stack


def _kind_to_replace(template: dict[str, Json], section: str, name: str) -> str | None:
    """The type of the resource that could not be created, unless it is a stand-in already."""
    if section == "Outputs":
        return "Output"
    resource = template["Resources"].get(name, {})
    kind: str | None = resource.get("Type")
    is_stand_in = kind == PARAMETER and str(resource["Properties"].get("Name")).startswith(STAND_IN)
    return None if is_stand_in else kind


def _missing_key(error: Exception, template: Mapping[str, Json], section: str, name: str) -> str:
    """The key that no mapping has which a resource or an output looks into: moto tells it alone. Empty for none."""
    if not isinstance(error, KeyError):
        return ""
    looked_into = dict.fromkeys(_IN_MAP.findall(json.dumps(template.get(section, {}).get(name))))
    known = {one: template["Mappings"][one] for one in looked_into if one in template.get("Mappings", {})}
    told = " or ".join(f"{one} ({', '.join(sorted(keys))})" for one, keys in known.items())
    return f"Fn::FindInMap: there is no {error.args[0]} in {told}" if told else ""


def _at_fault(error: Exception) -> tuple[str, str]:
    """The section and the logical id of what moto was creating; empty if it was nothing of a template."""
    found = ("", "")
    for frame, _ in walk_tb(error.__traceback__):  # the innermost counts: others wait for what they refer to
        if frame.f_code is parse_and_create_resource.__code__:
            found = ("Resources", str(frame.f_locals["logical_id"]))
        elif frame.f_code is parse_output.__code__:
            found = ("Outputs", str(frame.f_locals["output_logical_id"]))
    return found


def _upload_empty_code(s3: Client, region: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("README", "The local trigger runs functions from their source directory.")
    # S3 wants a region to be named, unless it is its first.
    where = {} if region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=CODE_BUCKET, **where)
    s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=archive.getvalue())


def _enable_ttl(translated: Translated, stack: MotoStack) -> None:
    # moto's CloudFormation leaves TimeToLiveSpecification out.
    backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][translated.region]
    for name, resource in translated.template["Resources"].items():
        if resource["Type"] == TABLE and _holds(resource, stack):
            with reading(f"the TimeToLiveSpecification of {name}"):
                wanted = _resolve(resource.get("Properties", {}).get("TimeToLiveSpecification"), stack)
                if wanted and str(wanted.get("Enabled")).lower() == "true":
                    spec = {"Enabled": True, "AttributeName": wanted["AttributeName"]}
                    backend.update_time_to_live(_resolve({"Ref": name}, stack), spec)


def _read_queues(
    mappings: Mapping[str, Json], functions: Mapping[str, FunctionSpec], resolve: Callable[[Json], Json]
) -> tuple[list[QueueMapping], list[str]]:
    """The event source mappings of queues, and a note for each whose function cannot run here."""
    found: list[QueueMapping] = []
    notes: list[str] = []
    for name, resource in mappings.items():
        properties = resolve(resource["Properties"])
        target = invoked(str(properties.get("FunctionName")), functions)
        if target is None:
            notes.append(f"{name} invokes no function that can run here")
            continue
        patterns = [str(one.get("Pattern")) for one in (properties.get("FilterCriteria") or {}).get("Filters", [])]
        try:
            filters = FilterSet.compile(patterns)
        except InvalidFilterPattern as error:
            raise TemplateError(f"{name}: {error}") from error
        found.append(
            QueueMapping(
                name,
                target[0],
                str(properties["EventSourceArn"]),
                target[1],
                int(properties.get("BatchSize", MOST_RECEIVED)),
                "ReportBatchItemFailures" in (properties.get("FunctionResponseTypes") or []),
                filters,
            )
        )
    return found, notes


def _subscribe(
    subscriptions: Mapping[str, Json],
    functions: Mapping[str, FunctionSpec],
    resolve: Callable[[Json], Json],
    region: str,
) -> tuple[list[QueueMapping], list[str]]:
    """Subscribe queues and functions to topics, as moto's CloudFormation does not.

    Returns what functions are invoked by, and a note for each other subscription. A function is reached by a queue of
    our own.
    """
    backend = sns_backends[DEFAULT_ACCOUNT_ID][region]
    found: list[QueueMapping] = []
    notes: list[str] = []
    for name, resource in subscriptions.items():
        properties = resolve(resource["Properties"])
        topic, protocol, endpoint = (str(properties.get(key)) for key in ("TopicArn", "Protocol", "Endpoint"))
        target = invoked(endpoint, functions) if protocol == "lambda" else None
        with reading(f"the subscription {name}"):
            if protocol == "sqs" and ":sqs:" in endpoint and ":sns:" in topic:
                _attach(backend, topic, endpoint, properties, name, raw=properties.get("RawMessageDelivery"))
            elif target is not None and ":sns:" in topic:
                queue = sqs_backends[DEFAULT_ACCOUNT_ID][region].create_queue(f"{_OWN_QUEUE}{name}"[:80], {})
                arn = _attach(backend, topic, queue.queue_arn, properties, name, raw=None)
                where = topic.rpartition(":")[2]
                found.append(QueueMapping(name, target[0], queue.queue_arn, target[1], subscription=arn, topic=where))
            else:
                notes.append(SUBSCRIPTIONS.of(f"{name}: {endpoint} ({protocol})"))
    return found, notes


def _attach(
    backend: SNSBackend, topic: str, queue: str, properties: Mapping[str, Json], name: str, *, raw: Json
) -> str:
    """Subscribe a queue to a topic; return the subscription's ARN."""
    try:
        subscription = backend.subscribe(topic, queue, "sqs")
        settings = {**{key: properties.get(key) for key in _OF_SUBSCRIPTION}, "RawMessageDelivery": raw}
        for key, value in settings.items():
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value)
                backend.set_subscription_attributes(subscription.arn, key, text)
    except ServiceException as error:
        raise TemplateError(f"the subscription {name}: {error.message}") from error
    return str(subscription.arn)


def _resolve(value: Json, stack: MotoStack) -> Json:
    """The value with every reference resolved. Raises TemplateError for one that cannot be."""
    try:
        return _plain(clean_json(value, stack.resource_map))
    except Exception as error:  # moto's classes and, of what it did not think of, any
        words = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
        raise TemplateError(f"cannot resolve {json.dumps(value)[:LONGEST_WORDS]}: {words}") from error


def _plain(value: Json) -> Json:
    """A JSON value: moto gives the resource itself where it does not know what Ref is in AWS."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else f"{STAND_IN}{type(value).__name__}"
