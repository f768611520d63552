"""Where a template's functions have their code, and which of them cannot run here.

Nothing is uploaded: a function runs from its source directory, so its code in the template becomes an object that
exists in the embedded S3.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CODE_BUCKET = "local-function-code"
CODE_KEY = "empty.zip"
SERVERLESS = "AWS::Serverless::Function"
FUNCTIONS = (SERVERLESS, "AWS::Lambda::Function")
INLINE_MODULE = "index.py"  # what Lambda calls the file of inline code
_CODE = ("CodeUri", "Code", "InlineCode", "ImageUri", "ImageConfig", "PackageType")
# The answer's own word, what Powertools calls it, and this library, which gives such answers.
_PARTIAL_ANSWERS = re.compile(
    r"batchItemFailures|process_partial_response|batch_processor|\b(from|import) tablestream\b"
)
_NOT_EMULATED = ("Layers", "FileSystemConfigs", "VpcConfig")  # what they name need not exist here


@dataclass(frozen=True, slots=True)
class Code:
    """One function's code: a directory, or the source of one module, or the reason why it cannot run here.

    `notes` are what the function would have in Lambda and has not here.
    """

    directory: Path | None = None
    inline: str | None = None
    unsupported: str | None = None
    notes: tuple[str, ...] = ()


def take_code(template: dict[str, Any], root: Path, parameters: Mapping[str, str]) -> dict[str, Code]:
    """Each function's code by logical id; `template` is changed so that it can be created without any.

    `parameters` are the values of the template's.
    """
    shared = (template.get("Globals") or {}).get("Function") or {}
    code: dict[str, Code] = {}
    for logical_id, resource in template["Resources"].items():
        if isinstance(resource, dict) and resource.get("Type") in FUNCTIONS:
            properties = resource.setdefault("Properties", {})
            code[logical_id] = _code({**shared, **properties}, root, parameters)
            _point_at_empty_zip(resource, runs=code[logical_id].unsupported is None)
    for name in (*_CODE, *_NOT_EMULATED):
        shared.pop(name, None)
    return code


def mention_of_failures(directory: Path, handler: str) -> str | None:
    """The file and line in which a function's own code speaks of partial answers: itself, or by a library for them.

    Its own code is the handler's package, or the modules beside the handler; `handler` is a path as Lambda takes it.
    """
    top = directory / re.split(r"[./]", handler)[0]
    for path in sorted(top.rglob("*.py") if top.is_dir() else directory.glob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if _PARTIAL_ANSWERS.search(line):
                return f"{path.relative_to(directory)}, line {number}"
    return None


def _code(properties: Mapping[str, Any], root: Path, parameters: Mapping[str, str]) -> Code:
    notes = tuple(_notes(properties))
    if reason := _unsupported(properties, parameters):
        return Code(unsupported=reason)
    inline = properties.get("InlineCode", _mapping(properties.get("Code")).get("ZipFile"))
    if inline is not None:
        return Code(inline=str(inline), notes=notes)
    uri = properties.get("CodeUri", properties.get("Code"))
    if uri is None:
        return Code(unsupported="it has neither CodeUri nor InlineCode nor Code")
    if not isinstance(uri, str) or uri.startswith("s3://"):
        return Code(unsupported=f"CodeUri is {json.dumps(uri)}, wanted the path of a directory")
    if not (root / uri).is_dir():
        return Code(unsupported=f"CodeUri is {json.dumps(uri)}, and {root / uri} is no directory")
    return Code(directory=root / uri, notes=notes)


def _unsupported(properties: Mapping[str, Any], parameters: Mapping[str, str]) -> str | None:
    if properties.get("PackageType") == "Image" or "ImageUri" in properties:
        return "an image function (ImageUri, PackageType Image) cannot run here, only Python code in a directory"
    runtime = properties.get("Runtime")
    if isinstance(runtime, dict) and runtime.get("Ref") in parameters:
        runtime = parameters[runtime["Ref"]]
    if isinstance(runtime, str) and not runtime.startswith("python"):
        return f"Runtime is {runtime}: only Python functions run here"
    return None


def _notes(properties: Mapping[str, Any]) -> list[str]:
    notes = []
    if properties.get("Layers"):
        notes.append("Layers are not loaded: what they hold must be installed where this runs")
    if properties.get("FileSystemConfigs"):
        notes.append("FileSystemConfigs: no file system is mounted")
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
