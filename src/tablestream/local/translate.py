"""From a SAM template to what the embedded AWS can create.

The SAM translator is the one AWS runs, so globals, defaults and generated resources come out as they do on deployment.
Changed on the way: code is not uploaded (see `code.py`), event source mappings are taken out and kept aside (moto would
push records to them on every write and empty the stream; `trigger` reads the stream instead), and what cannot be
emulated becomes a stand-in that is named (see `stand_ins.py`).
"""

from __future__ import annotations

import copy
import json
import logging
import re
from dataclasses import dataclass, field
from datetime import date
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
from tablestream.local.stand_ins import STAND_IN, stand_in, stand_in_for
from tablestream.local.versions import Qualifier, forget_dependencies, take_qualifiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Json = Any  # what a template or a JSON document holds
MAPPING = "AWS::Lambda::EventSourceMapping"
LONGEST_TOLD = 60  # characters of what came
_UPLOADED = ("ContentUri", "DefinitionUri", "SchemaUri")  # `sam deploy` uploads what they name


@dataclass(frozen=True, slots=True)
class Translated:
    """A template ready for the embedded AWS.

    `template` is plain CloudFormation, to be created with `parameters`; `mappings` are the event source mapping
    resources taken out of it, by logical id, and `qualifiers` its versions and aliases; `places` say where the
    template has the mappings; `code` is each function's; `notes` say what is not done here; `missing` names the
    resources that have a stand-in, by type; `subscriptions` are those of topics, taken out like the mappings.
    """

    template: dict[str, Any]
    mappings: Mapping[str, dict[str, Any]]
    code: Mapping[str, Code]
    parameters: Mapping[str, str] = field(default_factory=dict)
    qualifiers: tuple[Qualifier, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subscriptions: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def translate(
    path: Path,
    parameters: Mapping[str, str] | None = None,
    models: Mapping[str, type] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Translated:
    """Translate the SAM or CloudFormation template at `path`.

    `parameters` (of the command line) and `overrides` (of samconfig.toml) replace the template's defaults. `models` are
    the resource types the embedded AWS can create (None: all). Raises TemplateError.
    """
    text = _read(path)
    source = _parsed(text, path)
    values, notes = parameter_values(source, parameters or {}, overrides or {})
    source = _without_imports(source, notes)
    code = take_code(source, path.parent, values)
    _forget_uploads(source)
    plain = _translate(source, values)
    qualifiers = take_qualifiers(plain)
    mappings = _take_mappings(plain)
    replaced = stand_in(plain, mappings, models)
    places = {name: f"{path.name}, line {line}" for name, line in mapping_lines(text).items()}
    return Translated(
        template=plain,
        mappings=mappings,
        code=code,
        parameters=values,
        qualifiers=tuple(qualifiers.values()),
        places=places,
        notes=(*notes, *replaced.notes),
        missing=replaced.missing,
        subscriptions=replaced.subscriptions,
    )


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
    for section in ("Conditions", "Globals", "Mappings", "Outputs", "Parameters"):
        for name, content in _section(loaded, section).items():
            if not isinstance(content, dict):
                raise TemplateError(f"{section}: {name} is {_short(content)}: wanted an object")
    for name, resource in loaded["Resources"].items():
        _check(name, resource)
    plain: dict[str, Any] = _with_text_for_dates(loaded)
    return plain


def _section(template: dict[str, Any], section: str) -> dict[Any, Any]:
    content = template.get(section)
    if content is None:
        template.pop(section, None)
        return {}
    if not isinstance(content, dict):
        raise TemplateError(f"the section {section} is {_short(content)}: wanted an object")
    return content


def _check(name: Json, resource: Json) -> None:
    if not isinstance(name, str):
        raise TemplateError(
            f"the name of a resource is {name!r}: wanted text, in quotes where YAML takes it for a value"
        )
    if name.startswith("Fn::ForEach"):
        raise TemplateError(f"{name}: loops (AWS::LanguageExtensions) are not done here: wanted their resources")
    if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
        raise TemplateError(f"the resource {name} is {_short(resource)}: wanted an object with a Type")
    if not isinstance(properties := resource.get("Properties", {}), dict):
        raise TemplateError(f"the Properties of {name} are {_short(properties)}: wanted an object")


def _short(value: Json) -> str:
    return repr(value)[:LONGEST_TOLD]


def _with_text_for_dates(value: Json) -> Json:
    """YAML makes a date of 2012-10-17 without quotes; CloudFormation takes it for text."""
    if isinstance(value, list):
        return [_with_text_for_dates(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _with_text_for_dates(entry) for key, entry in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def _without_imports(value: Json, notes: list[str]) -> Json:
    """What another stack exports is not known here: text that says so takes its place."""
    if isinstance(value, list):
        return [_without_imports(entry, notes) for entry in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::ImportValue"}:
        name = value["Fn::ImportValue"]
        told = name if isinstance(name, str) else json.dumps(name)
        notes.append(f"{told} is exported by another stack, and not known here")
        return f"{STAND_IN}{re.sub('[^A-Za-z0-9]+', '-', told).strip('-')}"
    return {key: _without_imports(entry, notes) for key, entry in value.items()}


def _forget_uploads(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        properties = resource.get("Properties") if isinstance(resource, dict) else None
        if not isinstance(properties, dict):
            continue
        for name in _UPLOADED:
            if isinstance(properties.get(name), str) and not properties[name].startswith("s3://"):
                properties[name] = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}


def _translate(source: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it tells users of features of its own
    session = boto3.Session(region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local")
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    try:
        translated = translator.translate(copy.deepcopy(source), dict(parameters))
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes)
        raise TemplateError(f"the SAM translator refuses the template: {causes}") from error
    except Exception as error:  # of a template that it did not think of
        raise TemplateError(f"the SAM translator fails on the template: {type(error).__name__}: {error}") from error
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
