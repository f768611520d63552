"""From a SAM template to what the embedded AWS can create.

The SAM translator is the one AWS runs, so globals, defaults and generated resources come out as they do on deployment.
Changed on the way: code is not uploaded (see `local.code`), event source mappings are taken out and kept aside (moto
would push records to them on every write and empty the stream; `trigger` reads the stream instead), and what
cannot be emulated becomes a stand-in that is named (see `tablestream.local.stand_ins`).
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

from tablestream.local.clients import REGION
from tablestream.local.code import CODE_BUCKET, CODE_KEY, Code, take_code
from tablestream.local.errors import TemplateError
from tablestream.local.parameters import parameter_values
from tablestream.local.places import mapping_lines
from tablestream.local.stand_ins import stand_in, stand_in_for
from tablestream.local.versions import Qualifier, forget_dependencies, take_qualifiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Json = Any  # what a template or a JSON document holds
MAPPING = "AWS::Lambda::EventSourceMapping"
_UPLOADED = ("ContentUri", "DefinitionUri", "SchemaUri")  # `sam deploy` uploads what they name


@dataclass(frozen=True, slots=True)
class Translated:
    """A template ready for the embedded AWS.

    `template` is plain CloudFormation, to be created with `parameters`; `mappings` are the event source mapping
    resources taken out of it, by logical id, and `qualifiers` its versions and aliases; `places` say where the
    template has the mappings; `code` is each function's; `notes` say what is not done here; `missing` names the
    resources that have a stand-in, a line for each type.
    """

    template: dict[str, Any]
    mappings: Mapping[str, dict[str, Any]]
    code: Mapping[str, Code]
    parameters: Mapping[str, str] = field(default_factory=dict)
    qualifiers: tuple[Qualifier, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def translate(
    path: Path,
    parameters: Mapping[str, str] | None = None,
    supported: frozenset[str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Translated:
    """Translate the SAM or CloudFormation template at `path`.

    `parameters` (of the command line) and `overrides` (of samconfig.toml) replace the template's defaults. `supported`
    are the resource types the embedded AWS can create (None: all). Raises TemplateError.
    """
    text = _read(path)
    source = _parsed(text, path)
    values = parameter_values(source, parameters or {}, overrides or {})
    code = take_code(source, path.parent)
    _forget_uploads(source)
    plain = _translate(source, values)
    qualifiers = take_qualifiers(plain)
    mappings = _take_mappings(plain)
    notes, missing = stand_in(plain, supported) if supported is not None else ([], [])
    places = {name: f"{path.name}, line {line}" for name, line in mapping_lines(text).items()}
    return Translated(plain, mappings, code, values, tuple(qualifiers.values()), places, tuple(notes), tuple(missing))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(f"cannot read the template {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"the template {path} is not UTF-8: {error}") from error


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        loaded = yaml_parse(text)  # type: ignore[no-untyped-call]  # it has no annotations
    except Exception as error:  # the parser raises several unrelated classes for bad YAML
        raise TemplateError(f"{path} is not a YAML or JSON template: {error}") from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("Resources"), dict):
        raise TemplateError(f"{path} has no Resources section, so it is no SAM or CloudFormation template")
    return loaded


def _forget_uploads(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        properties = resource.get("Properties") if isinstance(resource, dict) else None
        if not isinstance(properties, dict):
            continue
        for name in _UPLOADED:
            if isinstance(properties.get(name), str) and not properties[name].startswith("s3://"):
                properties[name] = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}


def _translate(source: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    session = boto3.Session(region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local")
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    try:
        translated = translator.translate(copy.deepcopy(source), dict(parameters))
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
        forget_dependencies(resource, taken)
    for name in [name for name in taken if _names_any(resources, [name])]:
        resources[name] = stand_in_for(name, taken[name])  # an alarm or a dashboard shows the mapping's metrics
    return taken


def _names_any(value: Json, names: Iterable[str]) -> bool:
    text = json.dumps(value)
    return any(f'"{name}"' in text or f"${{{name}}}" in text for name in names)
