"""The functions of a created stack and the event source mappings that invoke them, every reference resolved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.code import INLINE_MODULE, Code
from local.errors import TemplateError

Json = Any  # what a template holds
Resolve = Callable[[Json], Json]
DEFAULT_TIMEOUT_SECONDS = 3  # Lambda's own defaults
DEFAULT_MEMORY_MB = 128


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the template configures it: `code` is a directory, `timeout` in seconds, `memory` in MB.

    `concurrency` is how many invocations may run at a time (ReservedConcurrentExecutions); None is no limit.
    """

    logical_id: str
    name: str
    arn: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    memory: int = DEFAULT_MEMORY_MB
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """An event source mapping of a stream: `properties` are CloudFormation's, resolved; `function` a logical id."""

    logical_id: str
    function: str
    stream_arn: str
    properties: Mapping[str, Any]


def read_function(logical_id: str, resource: Json, code: Code, scratch: Path, resolve: Resolve) -> FunctionSpec:
    """The function of a template's resource; inline code is written to a folder in `scratch`. Raises TemplateError."""
    properties = resolve(resource["Properties"])
    if not isinstance(properties.get("Handler"), str):
        raise TemplateError(f"{logical_id} has no Handler")
    variables = properties.get("Environment", {}).get("Variables", {})
    reserved = properties.get("ReservedConcurrentExecutions")
    return FunctionSpec(
        logical_id=logical_id,
        name=resolve({"Ref": logical_id}),
        arn=resolve({"Fn::GetAtt": [logical_id, "Arn"]}),
        handler=properties["Handler"],
        code=_directory(logical_id, code, scratch),
        environment={key: _text(value) for key, value in variables.items()},
        timeout=float(properties.get("Timeout", DEFAULT_TIMEOUT_SECONDS)),
        memory=int(properties.get("MemorySize", DEFAULT_MEMORY_MB)),
        concurrency=None if reserved is None else int(reserved),
    )


def read_mappings(
    mappings: Mapping[str, Json], functions: Mapping[str, FunctionSpec], code: Mapping[str, Code], resolve: Resolve
) -> tuple[list[StreamMapping], list[str]]:
    """The mappings of DynamoDB streams, and a note for each other one. Raises TemplateError.

    A function that cannot run here (see `local.code`) matters only if a stream invokes it.
    """
    found: list[StreamMapping] = []
    notes: list[str] = []
    for name, resource in mappings.items():
        properties = resolve(resource["Properties"])
        arn = str(properties.get("EventSourceArn") or properties.get("SelfManagedEventSource") or "nothing")
        if ":dynamodb:" not in arn:
            notes.append(f"{name} reads {arn}: only DynamoDB streams are delivered here")
            continue
        reference = resource["Properties"].get("FunctionName")
        function = _referred(reference) or _named(str(properties.get("FunctionName")), functions)
        if (one := code.get(function)) is not None and one.unsupported:
            raise TemplateError(f"{function}: {one.unsupported}")
        if function not in functions:
            raise TemplateError(
                f"{name} names the function {json.dumps(reference)}, which the template does not define"
            )
        found.append(StreamMapping(name, function, arn, properties))
    return found, notes


def _referred(reference: Json) -> str | None:
    """The logical id that a Ref or Fn::GetAtt names."""
    if not isinstance(reference, dict):
        return None
    path = reference.get("Fn::GetAtt", [None])
    name: str | None = reference.get("Ref") or (path.partition(".")[0] if isinstance(path, str) else path[0])
    return name


def _named(name: str, functions: Mapping[str, FunctionSpec]) -> str:
    """The logical id of a function named by its name or ARN, with or without a version."""
    for logical_id, function in functions.items():
        if name in (function.name, function.arn) or name.startswith(f"{function.arn}:"):
            return logical_id
    return ""


def _directory(logical_id: str, code: Code, scratch: Path) -> Path:
    if code.directory is not None:
        return code.directory
    folder = scratch / logical_id
    folder.mkdir()
    (folder / INLINE_MODULE).write_text(code.inline or "", encoding="utf-8")
    return folder


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
