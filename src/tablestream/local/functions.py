"""The functions of a created stack and the event source mappings that invoke them, every reference resolved."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tablestream.local.code import INLINE_MODULE, Code
from tablestream.local.errors import TemplateError
from tablestream.local.versions import LATEST, Qualifier, referred

Json = Any  # what a template holds
Resolve = Callable[[Json], Json]
DEFAULT_TIMEOUT_SECONDS = 3  # Lambda's own defaults
DEFAULT_MEMORY_MB = 128


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the template configures it: `code` is a directory, `timeout` in seconds, `memory` in MB.

    `runtime` is Lambda's name of it; `concurrency` is how many invocations may run at a time
    (ReservedConcurrentExecutions), None is no limit.
    `qualifiers` are the versions behind the names with which it may be invoked: its aliases and version numbers.
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
    runtime: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=lambda: {LATEST: LATEST})

    def qualified(self, qualifier: str | None) -> str:
        """The ARN that invokes this alias or version, or with None the one without either."""
        return self.arn if qualifier is None else f"{self.arn}:{qualifier}"

    def version(self, qualifier: str | None) -> str:
        """The version that this alias or version number stands for. Raises KeyError if there is none such."""
        return LATEST if qualifier is None else self.qualifiers[qualifier]


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """An event source mapping of a stream: `properties` are CloudFormation's, resolved; `function` a logical id.

    `qualifier` is the alias or version of the function that it invokes, if it names one, `place` the line of the
    template that has the mapping, `uuid` its own name.
    """

    logical_id: str
    function: str
    stream_arn: str
    properties: Mapping[str, Any]
    qualifier: str | None = None
    place: str = ""
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))


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
        runtime=str(properties.get("Runtime", "")),
    )


def with_qualifiers(function: FunctionSpec, qualifiers: Iterable[Qualifier], resolve: Resolve) -> FunctionSpec:
    """The function with those of a template's versions and aliases that are its own."""
    own = [one for one in qualifiers if one.function == function.logical_id]
    known = {str(resolve(one.name)): str(resolve(one.version)) for one in own}
    return replace(function, qualifiers={**function.qualifiers, **known})


def read_mappings(
    mappings: Mapping[str, Json], functions: Mapping[str, FunctionSpec], code: Mapping[str, Code], resolve: Resolve
) -> tuple[list[StreamMapping], list[str]]:
    """The mappings of DynamoDB streams, and a note for each other one. Raises TemplateError.

    A function that cannot run here (see `tablestream.local.code`) is refused if streams invoke no other.
    """
    found: list[StreamMapping] = []
    notes: list[str] = []
    refused: list[str] = []
    for name, resource in mappings.items():
        properties = resolve(resource["Properties"])
        arn = str(properties.get("EventSourceArn") or properties.get("SelfManagedEventSource") or "nothing")
        if ":dynamodb:" not in arn:
            notes.append(f"{name} reads {arn}: only DynamoDB streams are delivered here")
            continue
        reference = resource["Properties"].get("FunctionName")
        text = str(properties.get("FunctionName"))
        function = _referred(reference) or _named(text, functions)
        if (one := code.get(function)) is not None and one.unsupported:
            refused.append(f"{function}: {one.unsupported}")
            continue
        if function not in functions:
            raise TemplateError(
                f"{name} names the function {json.dumps(reference)}, which the template does not define"
            )
        qualifier = _qualifier(text, functions[function])
        if qualifier is not None and qualifier not in functions[function].qualifiers:
            raise TemplateError(f"{name} names {qualifier} of {function}: the template has no such version or alias")
        mapping = StreamMapping(name, function, arn, properties, qualifier)
        for other in found:
            _refuse_second(mapping, other, functions[function])
        found.append(mapping)
    if refused and not found:
        raise TemplateError(refused[0])
    return found, notes


def _refuse_second(mapping: StreamMapping, other: StreamMapping, function: FunctionSpec) -> None:
    """A function can be the target of a stream once (R); of the same stream, once for each alias and version (I)."""
    if (mapping.function, mapping.qualifier, mapping.stream_arn) == (other.function, other.qualifier, other.stream_arn):
        name = function.qualified(mapping.qualifier).split(":function:")[-1]
        raise TemplateError(
            f"{mapping.logical_id}: ResourceConflictException (409): The event source arn "
            f'(" {mapping.stream_arn} ") and function (" {name} ") provided mapping already exists. Please update or '
            f"delete the existing mapping with UUID {other.uuid}, which is {other.logical_id}"
        )


def _referred(reference: Json) -> str | None:
    """The logical id of the function that a reference names, also one that `Qualifier.arn` has made."""
    joined = reference.get("Fn::Join") if isinstance(reference, dict) else None
    return referred(joined[1][0] if joined and isinstance(joined[1], list) and joined[1] else reference)


def _named(text: str, functions: Mapping[str, FunctionSpec]) -> str:
    """The logical id of a function named by its name or ARN, with or without a version or alias."""
    named = (logical_id for logical_id, function in functions.items() if _spelled(text, function) is not None)
    return next(named, "")


def _qualifier(text: str, function: FunctionSpec) -> str | None:
    """The version or alias in a function's name or ARN."""
    spelled = _spelled(text, function)
    return text.removeprefix(f"{spelled}:") if spelled is not None and text != spelled else None


def _spelled(text: str, function: FunctionSpec) -> str | None:
    """The way in which `text` spells the function: its ARN, that from the account on, or its name."""
    for spelled in (function.arn, function.arn.split(":", 4)[-1], function.name):
        if text == spelled or text.startswith(f"{spelled}:"):
            return spelled
    return None


def _directory(logical_id: str, code: Code, scratch: Path) -> Path:
    if code.directory is not None:
        return code.directory
    folder = scratch / logical_id
    folder.mkdir()
    (folder / INLINE_MODULE).write_text(code.inline or "", encoding="utf-8")
    return folder


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
