"""The stack in the embedded AWS: its functions and event source mappings with every reference resolved."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from moto.cloudformation.models import Stack as MotoStack
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.core.models import DEFAULT_ACCOUNT_ID

from tablestream.local.clients import REGION
from tablestream.local.code import CODE_BUCKET, CODE_KEY, Code
from tablestream.local.errors import TemplateError
from tablestream.local.functions import FunctionSpec, StreamMapping, read_function, read_mappings, with_qualifiers
from tablestream.local.translate import Json, Translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from tablestream.local.clients import Client


@dataclass(frozen=True, slots=True)
class Stack:
    """What was created. `notes` name what the template asks for and is not done here, `missing` what has a stand-in."""

    name: str
    outputs: Mapping[str, str]
    functions: Mapping[str, FunctionSpec]
    mappings: tuple[StreamMapping, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def create(translated: Translated, name: str, scratch: Path, client: Callable[[str], Client]) -> Stack:
    """Create the stack `name` and resolve what the trigger needs; inline code is written to a folder in `scratch`.

    Raises TemplateError if a resource cannot be created, or a stream invokes a function that cannot run here.
    """
    _upload_empty_code(client("s3"))
    stack = _create(translated, name, client("cloudformation"))
    _enable_ttl(translated, stack, client("dynamodb"))
    created = set(stack.resource_map.resources)
    resolve = partial(_resolve, stack=stack)
    resources = translated.template["Resources"]
    functions = {
        name: with_qualifiers(
            read_function(name, resources[name], code, scratch, resolve), translated.qualifiers, resolve
        )
        for name, code in translated.code.items()
        if name in created and code.unsupported is None
    }
    wanted = {name: one for name, one in translated.mappings.items() if _holds(one.get("Condition"), stack)}
    mappings, notes = read_mappings(wanted, functions, translated.code, resolve)
    return Stack(
        name=name,
        outputs=_outputs(name, client("cloudformation")),
        functions=functions,
        mappings=tuple(replace(one, place=translated.places.get(one.logical_id, "")) for one in mappings),
        notes=(*translated.notes, *notes, *_function_notes(translated.code, {m.function for m in mappings})),
        missing=translated.missing,
    )


def _function_notes(code: Mapping[str, Code], invoked: AbstractSet[str]) -> list[str]:
    """What is missing in the functions that streams invoke, and which functions are left out."""
    notes = [f"{name}: {note}" for name in sorted(invoked) for note in code[name].notes]
    return notes + [f"{name}: {one.unsupported}" for name, one in code.items() if one.unsupported]


def _holds(condition: str | None, stack: MotoStack) -> bool:
    return condition is None or bool(stack.resource_map.lazy_condition_map[condition])


def _upload_empty_code(s3: Client) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("README", "The local trigger runs functions from their source directory.")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=archive.getvalue())


def _create(translated: Translated, name: str, cloudformation: Client) -> MotoStack:
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in translated.parameters.items()]
    try:
        created = cloudformation.create_stack(
            StackName=name,
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


def _outputs(name: str, cloudformation: Client) -> dict[str, str]:
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
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
