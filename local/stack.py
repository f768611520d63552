"""The stack in the embedded AWS: its functions and event source mappings with every reference resolved."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.cloudformation.models import Stack as MotoStack
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.core.models import DEFAULT_ACCOUNT_ID

from local.clients import REGION
from local.errors import TemplateError
from local.translate import CODE_BUCKET, CODE_KEY, Json, Translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.clients import Client

STACK = "tablestream"
DEFAULT_TIMEOUT_SECONDS = 3  # Lambda's own defaults
DEFAULT_MEMORY_MB = 128


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the template configures it: `code` is a directory, `timeout` in seconds, `memory` in MB."""

    logical_id: str
    name: str
    arn: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    memory: int = DEFAULT_MEMORY_MB


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """An event source mapping of a stream: `properties` are CloudFormation's, resolved; `function` a logical id."""

    logical_id: str
    function: str
    stream_arn: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stack:
    """What was created. `notes` name what the template asks for and the local trigger does not do."""

    outputs: Mapping[str, str]
    functions: Mapping[str, FunctionSpec]
    mappings: tuple[StreamMapping, ...]
    notes: tuple[str, ...]


def create(translated: Translated, parameters: Mapping[str, str], client: Callable[[str], Client]) -> Stack:
    """Create the stack and resolve what the trigger needs. Raises TemplateError if a resource cannot be created."""
    _upload_empty_code(client("s3"))
    stack = _create(translated, parameters, client("cloudformation"))
    _enable_ttl(translated, stack, client("dynamodb"))
    mappings, notes = _mappings(translated, stack)
    return Stack(
        outputs=_outputs(client("cloudformation")),
        functions={
            name: _function(name, translated, stack) for name in translated.code if name in stack.resource_map.resources
        },
        mappings=tuple(mappings),
        notes=(*translated.notes, *notes),
    )


def _upload_empty_code(s3: Client) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("README", "The local trigger runs functions from their source directory.")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=archive.getvalue())


def _create(translated: Translated, parameters: Mapping[str, str], cloudformation: Client) -> MotoStack:
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    try:
        created = cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(translated.template),
            Parameters=given,
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
    except cloudformation.exceptions.ClientError as error:
        raise TemplateError(f"the embedded AWS cannot create the stack: {error}") from error
    stack = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks[created["StackId"]]
    if stack.status != "CREATE_COMPLETE":
        raise TemplateError(f"the stack ended as {stack.status}")
    return stack


def _outputs(cloudformation: Client) -> dict[str, str]:
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _enable_ttl(translated: Translated, stack: MotoStack, dynamodb: Client) -> None:
    # moto's CloudFormation leaves TimeToLiveSpecification out.
    for name, resource in translated.template["Resources"].items():
        if resource["Type"] == "AWS::DynamoDB::Table" and name in stack.resource_map.resources:
            wanted = _resolve(resource.get("Properties", {}).get("TimeToLiveSpecification"), stack)
            if wanted and str(wanted.get("Enabled")).lower() == "true":
                table = _resolve({"Ref": name}, stack)
                spec = {"Enabled": True, "AttributeName": wanted["AttributeName"]}
                dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=spec)


def _resolve(value: Json, stack: MotoStack) -> Json:
    return clean_json(value, stack.resource_map)


def _function(logical_id: str, translated: Translated, stack: MotoStack) -> FunctionSpec:
    properties = _resolve(translated.template["Resources"][logical_id]["Properties"], stack)
    if "Handler" not in properties:
        raise TemplateError(f"{logical_id} has no Handler")
    variables = properties.get("Environment", {}).get("Variables", {})
    return FunctionSpec(
        logical_id=logical_id,
        name=_resolve({"Ref": logical_id}, stack),
        arn=_resolve({"Fn::GetAtt": [logical_id, "Arn"]}, stack),
        handler=properties["Handler"],
        code=translated.code[logical_id],
        environment={key: _text(value) for key, value in variables.items()},
        timeout=float(properties.get("Timeout", DEFAULT_TIMEOUT_SECONDS)),
        memory=int(properties.get("MemorySize", DEFAULT_MEMORY_MB)),
    )


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mappings(translated: Translated, stack: MotoStack) -> tuple[list[StreamMapping], list[str]]:
    mappings: list[StreamMapping] = []
    notes: list[str] = []
    for name, resource in translated.mappings.items():
        if (condition := resource.get("Condition")) and not stack.resource_map.lazy_condition_map[condition]:
            continue
        properties = _resolve(resource["Properties"], stack)
        arn = str(properties.get("EventSourceArn", "none"))
        if ":dynamodb:" not in arn:
            notes.append(f"{name} reads {arn}: only DynamoDB streams are delivered here")
        elif str(properties.get("Enabled", True)).lower() == "false":
            notes.append(f"{name} is disabled in the template")
        else:
            function = _function_named(resource["Properties"]["FunctionName"], translated)
            mappings.append(StreamMapping(name, function, arn, properties))
    return mappings, notes


def _function_named(reference: Json, translated: Translated) -> str:
    name = reference.get("Ref") if isinstance(reference, dict) else None
    alias = translated.template["Resources"].get(name, {})
    if alias.get("Type") == "AWS::Lambda::Alias":
        return _function_named(alias["Properties"]["FunctionName"], translated)
    if name not in translated.code:
        raise TemplateError(
            f"an event source mapping names the function {json.dumps(reference)}, which the template does not define"
        )
    return str(name)
