"""From a SAM template to what the embedded AWS can create.

The SAM translator is the one AWS runs, so globals, defaults and generated resources come out as they do on deployment.
Two things are changed on the way: code is not uploaded (the functions run from their source directory, so `CodeUri`
becomes an object that exists in the embedded S3), and event source mappings are taken out and kept aside (moto would
push records to them on every write and empty the stream; `local/trigger.py` reads the stream instead).
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local.clients import REGION
from local.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CODE_BUCKET = "local-function-code"
CODE_KEY = "empty.zip"
FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")
Json = Any  # what a template or a JSON document holds
MAPPING = "AWS::Lambda::EventSourceMapping"


@dataclass(frozen=True, slots=True)
class Translated:
    """A template ready for the embedded AWS.

    `template` is plain CloudFormation; `mappings` are the event source mapping resources taken out of it, by logical
    id; `code` is each function's source directory; `notes` say what was left out.
    """

    template: dict[str, Any]
    mappings: Mapping[str, dict[str, Any]]
    code: Mapping[str, Path]
    notes: tuple[str, ...] = field(default=())


def translate(
    path: Path, parameters: Mapping[str, str] | None = None, supported: frozenset[str] | None = None
) -> Translated:
    """Translate the SAM or CloudFormation template at `path`.

    `parameters` override the template's defaults. `supported` are the resource types the embedded AWS can create (None:
    all); any other is replaced by a stand-in, so that references to it still resolve. Raises TemplateError.
    """
    source = _load(path)
    code = _take_code(source, path.parent)
    plain = _translate(source, dict(parameters or {}))
    mappings = _take_mappings(plain)
    notes = _stand_in(plain, supported) if supported is not None else []
    return Translated(plain, mappings, code, tuple(notes))


def _load(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml_parse(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]  # it has no annotations
    except OSError as error:
        raise TemplateError(f"cannot read the template {path}: {error.strerror}") from error
    except Exception as error:  # the parser raises several unrelated classes for bad YAML
        raise TemplateError(f"{path} is not a YAML or JSON template: {error}") from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("Resources"), dict):
        raise TemplateError(f"{path} has no Resources section, so it is no SAM or CloudFormation template")
    return loaded


def _take_code(template: dict[str, Any], root: Path) -> dict[str, Path]:
    shared = template.get("Globals", {}).get("Function", {})
    code: dict[str, Path] = {}
    for logical_id, resource in template["Resources"].items():
        if isinstance(resource, dict) and resource.get("Type") in FUNCTIONS:
            properties = resource.setdefault("Properties", {})
            code[logical_id] = root / _code_of(logical_id, {**shared, **properties})
            _point_at_empty_zip(resource["Type"], properties)
    shared.pop("CodeUri", None)
    return code


def _code_of(logical_id: str, properties: Mapping[str, Any]) -> str:
    for unsupported in ("ImageUri", "InlineCode"):
        if unsupported in properties:
            raise TemplateError(f"{logical_id}: {unsupported} is not supported here, only a directory in CodeUri")
    uri = properties.get("CodeUri", properties.get("Code"))
    if not isinstance(uri, str) or uri.startswith("s3://"):
        raise TemplateError(f"{logical_id}: CodeUri is {json.dumps(uri)}, wanted the path of a directory")
    return uri


def _point_at_empty_zip(kind: str, properties: dict[str, Any]) -> None:
    if kind == "AWS::Serverless::Function":
        properties["CodeUri"] = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}
    else:
        properties["Code"] = {"S3Bucket": CODE_BUCKET, "S3Key": CODE_KEY}


def _translate(source: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    session = boto3.Session(region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local")
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    try:
        translated = translator.translate(copy.deepcopy(source), parameters)
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes)
        raise TemplateError(f"the SAM translator refuses the template: {causes}") from error
    # Through JSON, because the translator returns its own dict classes.
    plain: dict[str, Any] = json.loads(json.dumps(translated))
    return plain


def _take_mappings(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    resources = template["Resources"]
    taken = {name: resources.pop(name) for name in [n for n, r in resources.items() if r.get("Type") == MAPPING]}
    outputs = template.get("Outputs", {})
    for name in [n for n, output in outputs.items() if _names_any(output, taken)]:
        del outputs[name]
    for resource in resources.values():
        _forget_dependencies(resource, taken)
    return taken


def _names_any(value: Json, names: Mapping[str, Any]) -> bool:
    text = json.dumps(value)
    return any(f'"{name}"' in text or f"${{{name}}}" in text for name in names)


def _forget_dependencies(resource: dict[str, Any], taken: Mapping[str, Any]) -> None:
    depends = resource.get("DependsOn", [])
    listed = [depends] if isinstance(depends, str) else depends
    if kept := [name for name in listed if name not in taken]:
        resource["DependsOn"] = kept
    else:
        resource.pop("DependsOn", None)


def _stand_in(template: dict[str, Any], supported: frozenset[str]) -> list[str]:
    notes = []
    for name, resource in template["Resources"].items():
        if (kind := resource["Type"]) not in supported:
            notes.append(f"{name} ({kind}) is not emulated")
            condition = {"Condition": resource["Condition"]} if "Condition" in resource else {}
            template["Resources"][name] = {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": f"stand-in-{name}", "Type": "String", "Value": kind},
                **condition,
            }
    return notes
