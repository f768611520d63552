"""The functions of a created stack, the code that they run, and the event source mappings that invoke them.

Nothing is uploaded: a function runs from its source directory, so its code in the template becomes an object that
exists in the embedded S3.
"""

from __future__ import annotations

import json
import re
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tablestream.local.cloud.versions import FUNCTION, Qualifier
from tablestream.local.errors import TemplateError
from tablestream.local.runtime.function import DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_SECONDS, FunctionSpec
from tablestream.local.runtime.language import is_node, why_not
from tablestream.local.template.gaps import FILE_SYSTEMS, LAYERS, SOURCES
from tablestream.local.template.parameters import text_of
from tablestream.local.template.references import referred

Json = Any  # what a template holds
Resolve = Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """An event source mapping of a stream: `properties` are CloudFormation's, resolved; `function` a logical id.

    `qualifier` is the alias or version of the function that it invokes, if it names one, `place` the line of the
    template that has the mapping, `uuid` its own name. Of a pipe, `enrichment` is the logical id of its other function.
    """

    logical_id: str
    function: str
    stream_arn: str
    properties: Mapping[str, Any]
    qualifier: str | None = None
    place: str = ""
    is_pipe: bool = False
    enrichment: str | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def table(self) -> str:
        """The name of the table whose stream it reads; empty where the ARN names none."""
        return self.stream_arn.partition("/")[2].partition("/")[0]


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
        code=_directory(logical_id, code, scratch, str(properties.get("Runtime", ""))),
        layers=code.layers,
        environment={key: text_of(value) for key, value in variables.items()},
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

    A function that cannot run here (see `tablestream.local.cloud.functions`) is refused if streams invoke no other.
    """
    found: list[StreamMapping] = []
    notes: list[str] = []
    refused: list[str] = []
    for name, resource in mappings.items():
        properties = resolve(resource["Properties"])
        arn = str(properties.get("EventSourceArn") or properties.get("SelfManagedEventSource") or "nothing")
        if ":dynamodb:" not in arn:
            notes.append(SOURCES.of(f"{name} reads {arn}, which"))
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
        pipe = resource.get("Pipe")
        enrichment = pipe["Enrichment"] if pipe else None
        mapping = StreamMapping(
            name, function, arn, properties, qualifier, is_pipe=pipe is not None, enrichment=enrichment
        )
        for other in found:
            if not (mapping.is_pipe or other.is_pipe):
                _refuse_second(mapping, other, functions[function])
        found.append(mapping)
    if refused and not found:
        raise TemplateError(refused[0])
    return found, notes


def refuse_if_none_runs(mappings: Mapping[str, Json], code: Mapping[str, Code]) -> None:
    """Raise TemplateError if the template alone says that no stream invokes a function that can run here."""
    reasons = []
    for mapping in mappings.values():
        function = _referred((mapping.get("Properties") or {}).get("FunctionName")) or ""
        if "Condition" in mapping or function not in code or code[function].unsupported is None:
            return
        reasons.append(f"{function}: {code[function].unsupported}")
    if reasons:
        raise TemplateError(reasons[0])


def invoked(text: str, functions: Mapping[str, FunctionSpec]) -> tuple[str, str | None] | None:
    """The logical id and the alias or version of the function that a name or an ARN invokes; None for no such one."""
    if (name := _named(text, functions)) not in functions:
        return None
    qualifier = _qualifier(text, functions[name])
    return (name, qualifier) if qualifier is None or qualifier in functions[name].qualifiers else None


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


def _directory(logical_id: str, code: Code, scratch: Path, runtime: str) -> Path:
    if code.directory is not None:
        return code.directory
    folder = scratch / logical_id
    folder.mkdir()
    module = "index.js" if is_node(runtime) else INLINE_MODULE
    if code.archive is not None:
        with zipfile.ZipFile(code.archive) as archive:
            archive.extractall(folder)
        return folder
    (folder / module).write_text(code.inline or "", encoding="utf-8")
    return folder


CODE_BUCKET = "local-function-code"
CODE_KEY = "empty.zip"
SERVERLESS = "AWS::Serverless::Function"
FUNCTIONS = (SERVERLESS, FUNCTION)
INLINE_MODULE = "index.py"  # what Lambda calls the file of inline code
_CODE = ("CodeUri", "Code", "InlineCode", "ImageUri", "ImageConfig", "PackageType")
# The answer's own word, what Powertools calls it, and this library, which gives such answers.
_PARTIAL_ANSWERS = re.compile(
    r"batchItemFailures|process_partial_response|batch_processor|\b(from|import) tablestream\b"
)
_POWERTOOLS = "AWSLambdaPowertoolsPython"  # the layer of what is here anyway
_NOT_EMULATED = ("Layers", "FileSystemConfigs", "VpcConfig")  # what they name need not exist here


@dataclass(frozen=True, slots=True)
class Code:
    """One function's code: a directory, a ZIP archive, the source of one module, or the reason why it cannot run here.

    `notes` are what the function would have in Lambda and has not here, `layers` the folders of layers from which it
    imports.
    """

    directory: Path | None = None
    inline: str | None = None
    archive: Path | None = None
    unsupported: str | None = None
    notes: tuple[str, ...] = ()
    layers: tuple[Path, ...] = ()


def take_code(
    template: dict[str, Any],
    root: Path,
    parameters: Mapping[str, str],
    folders: Mapping[str, str] = MappingProxyType({}),
    stack: str = "",
) -> dict[str, Code]:
    """Each function's code by logical id; `template` is changed so that it can be created without any.

    `parameters` are the values of the template's, `folders` where the source of functions lies that is not where the
    template says; `stack` goes before the names of a nested template. Raises TemplateError for a folder that is none.
    """
    shared = (template.get("Globals") or {}).get("Function") or {}
    code: dict[str, Code] = {}
    for logical_id, resource in template["Resources"].items():
        if isinstance(resource, dict) and resource.get("Type") in FUNCTIONS:
            own = _with_globals(shared, resource.setdefault("Properties", {}))
            folder = folders.get(logical_id)
            code[logical_id] = _code(f"{stack}{logical_id}", own, root, parameters, template["Resources"], folder)
            _point_at_empty_zip(resource, runs=code[logical_id].unsupported is None)
    for name in (*_CODE, *_NOT_EMULATED):
        shared.pop(name, None)
    return code


def _with_globals(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a function with those of Globals: its layers come on top of theirs."""
    merged = {**shared, **own}
    if isinstance(above := shared.get("Layers"), list) and isinstance(layers := own.get("Layers"), list):
        merged["Layers"] = [*above, *layers]
    return merged


def mention_of_failures(directory: Path, handler: str) -> str | None:
    """The file and line in which a function's own code speaks of partial answers: itself, or by a library for them.

    Its own code is the handler's package, or the modules beside the handler; `handler` is a path as Lambda takes it.
    """
    top = directory / re.split(r"[./]", handler)[0]
    found = top.rglob("*") if top.is_dir() else directory.glob("*")
    for path in sorted(one for one in found if one.suffix in {".py", ".js", ".mjs", ".cjs"}):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if _PARTIAL_ANSWERS.search(line):
                return f"{path.relative_to(directory)}, line {number}"
    return None


def _code(
    name: str,
    properties: Mapping[str, Any],
    root: Path,
    parameters: Mapping[str, str],
    resources: Mapping[str, Json],
    folder: str | None,
) -> Code:
    layers, missing = _layers(properties.get("Layers") or (), root, resources)
    notes = (*missing, *_notes(properties))
    if reason := _unsupported(properties, parameters):
        return Code(unsupported=reason)
    inline = properties.get("InlineCode", _mapping(properties.get("Code")).get("ZipFile"))
    if inline is not None and folder is None:
        return Code(inline=str(inline), notes=notes, layers=layers)
    named = "CodeUri" if "CodeUri" in properties else "Code"
    found = _uploaded(name, named, properties.get(named), root) if folder is None else _given(name, folder)
    return replace(found, notes=notes, layers=layers)


def _given(name: str, folder: str) -> Code:
    if not (found := Path(folder)).is_dir():
        raise TemplateError(f"--code {name}: {folder} is no directory")
    return Code(directory=found)


def _uploaded(name: str, named: str, uri: Json, root: Path) -> Code:
    """The code that `sam build` or `sam deploy` would upload: a directory, or an archive."""
    if uri is None:
        return Code(unsupported="it has neither CodeUri nor InlineCode nor Code")
    way_out = f"--code {name}=FOLDER says where its source is"
    if not isinstance(uri, str) or uri.startswith("s3://"):
        return Code(unsupported=f"{named} is {json.dumps(uri)}, which is not in this project: {way_out}")
    found = root / uri
    if found.is_dir():
        return Code(directory=found)
    if found.is_file() and zipfile.is_zipfile(found):
        return Code(archive=found)
    why = "is no directory and no ZIP archive" if found.exists() else f"is not there: build it, or {way_out}"
    return Code(unsupported=f"{named} is {json.dumps(uri)}, and {found} {why}")


def _layers(
    references: Iterable[Json], root: Path, resources: Mapping[str, Json]
) -> tuple[tuple[Path, ...], list[str]]:
    """The folders of those layers that lie in the project, and a note for each other one."""
    found: list[Path] = []
    notes: list[str] = []
    for reference in references:
        name = referred(reference)
        properties = resources.get(name or "", {}).get("Properties") or {}
        content = properties.get("ContentUri", properties.get("Content"))
        folder = root / content if isinstance(content, str) else None
        if folder is not None and folder.is_dir():
            # `sam build` puts what a layer's folder holds under python/; without a build it stands there itself.
            found.append(folder / "python" if (folder / "python").is_dir() else folder)
        elif _POWERTOOLS not in json.dumps(reference):
            told = name or (reference if isinstance(reference, str) else json.dumps(reference))
            notes.append(LAYERS.of(f"the layer {told}"))
    return tuple(found), notes


def _unsupported(properties: Mapping[str, Any], parameters: Mapping[str, str]) -> str | None:
    if properties.get("PackageType") == "Image" or "ImageUri" in properties:
        return "an image function (ImageUri, PackageType Image) cannot run here, only code in a directory"
    runtime = properties.get("Runtime")
    if isinstance(runtime, dict) and runtime.get("Ref") in parameters:
        runtime = parameters[runtime["Ref"]]
    return why_not(runtime) if isinstance(runtime, str) else None


def _notes(properties: Mapping[str, Any]) -> list[str]:
    notes = []
    if properties.get("FileSystemConfigs"):
        notes.append(FILE_SYSTEMS.of("the file system (FileSystemConfigs)"))
    return notes


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _point_at_empty_zip(resource: dict[str, Any], *, runs: bool) -> None:
    properties = resource["Properties"]
    for name in (*_CODE, *_NOT_EMULATED):
        properties.pop(name, None)
    if resource["Type"] == SERVERLESS:
        properties["CodeUri"] = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}
    else:
        properties["Code"] = {"S3Bucket": CODE_BUCKET, "S3Key": CODE_KEY}
    if not runs:
        properties |= {"Handler": "none.none", "Runtime": "python3.13"}
