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
import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tablestream.local.cloud.apis import take_apis
from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.elsewhere import Elsewhere
from tablestream.local.cloud.functions import CODE_BUCKET, CODE_KEY, Code, take_code
from tablestream.local.cloud.pipes import PIPE, take_pipes
from tablestream.local.cloud.unsupported import STAND_IN, stand_in, stand_in_for
from tablestream.local.cloud.versions import Qualifier, forget_dependencies, take_qualifiers
from tablestream.local.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


Json = Any  # what a template or a JSON document holds
MAPPING = "AWS::Lambda::EventSourceMapping"
LONGEST_TOLD = 60  # characters of what came
_NOTHING = Elsewhere()
_TABLES = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable")
_UPLOADED = ("ContentUri", "DefinitionUri", "SchemaUri")  # `sam deploy` uploads what they name


@dataclass(frozen=True, slots=True)
class Translated:
    """A template ready for the embedded AWS.

    `template` is plain CloudFormation, to be created with `parameters`; `mappings` are the event source mapping
    resources taken out of it, by logical id, and `qualifiers` its versions and aliases; `places` say where the
    template has the mappings; `code` is each function's; `notes` say what is not done here; `missing` names the
    resources that have a stand-in, by type; `subscriptions` are those of topics, taken out like the mappings; `apis`
    are the parts of HTTP APIs.
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
    apis: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def translate(
    path: Path,
    parameters: Mapping[str, str] | None = None,
    models: Mapping[str, type] | None = None,
    overrides: Mapping[str, str] | None = None,
    elsewhere: Elsewhere = _NOTHING,
) -> Translated:
    """Translate the SAM or CloudFormation template at `path`.

    `parameters` (of the command line) and `overrides` (of samconfig.toml) replace the template's defaults. `models` are
    the resource types the embedded AWS can create (None: all). `elsewhere` has what other stacks export, and the like.
    Raises TemplateError.
    """
    text = _read(path)
    source = _parsed(text, path)
    values, notes = parameter_values(source, parameters or {}, overrides or {})
    source = elsewhere.put_into(source, values, notes)
    code = take_code(source, path.parent, values)
    _forget_uploads(source)
    plain = _translate(source, values)
    qualifiers = take_qualifiers(plain)
    mappings = _take_mappings(plain, take_pipes(plain["Resources"], notes))
    _refuse_streams_of_no_table(mappings, plain["Resources"])
    apis = take_apis(plain)
    replaced = stand_in(plain, mappings, models, apis)
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
        apis=apis,
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


def _take_mappings(template: dict[str, Any], pipes: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Take the mappings out of a template; `pipes` are others that are out of it already."""
    resources = template["Resources"]
    taken = {name: resources.pop(name) for name in [n for n, r in resources.items() if r.get("Type") == MAPPING]}
    taken |= pipes
    outputs = template.get("Outputs", {})
    for name in [n for n, output in outputs.items() if _names_any(output, taken)]:
        del outputs[name]
    for resource in resources.values():
        forget_dependencies(resource, taken)
    for name in [name for name in taken if _names_any(resources, [name])]:
        resources[name] = stand_in_for(name, taken[name])  # an alarm or a dashboard shows the mapping's metrics
    return taken


def _refuse_streams_of_no_table(mappings: Mapping[str, Json], resources: Mapping[str, Json]) -> None:
    for name, mapping in mappings.items():
        source = (mapping.get("Properties") or {}).get("EventSourceArn")
        attribute = source.get("Fn::GetAtt") if isinstance(source, dict) else None
        if isinstance(attribute, list) and attribute[1:] == ["StreamArn"] and attribute[0] in resources:
            kind = resources[attribute[0]]["Type"]
            if not kind.startswith(_TABLES):
                wanted = "wanted a table with a StreamSpecification"
                raise TemplateError(f"{name} reads the stream of {attribute[0]}, which has none: {wanted}, got {kind}")


def _names_any(value: Json, names: Iterable[str]) -> bool:
    text = json.dumps(value)
    return any(f'"{name}"' in text or f"${{{name}}}" in text for name in names)


_SSM = "AWS::SSM::Parameter::Value<"


def parameter_values(
    template: dict[str, Any], given: Mapping[str, str], overrides: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The values of the parameters: `given` on the command line before `overrides` of samconfig.toml and defaults.

    An override of a parameter that the template does not declare is left out, as the SAM CLI does. Parameters that name
    one of SSM become plain ones in `template`: what is given is the value, and a default gets text in its place; the
    notes that are returned say so. Raises TemplateError for one that was given and is not declared, for parameters
    without a value, and for a value that its declaration does not allow.
    """
    declared: dict[str, Any] = template.get("Parameters") or {}
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}, but {', '.join(sorted(declared))}")
    values = {**{name: value for name, value in overrides.items() if name in declared}, **given}
    if missing := [name for name, one in declared.items() if name not in values and "Default" not in one]:
        wanted = " ".join(f"--parameter {name}=VALUE" for name in missing)
        raise TemplateError(f"no value and no default for {', '.join(missing)}: wanted {wanted}")
    notes = [note for name, one in declared.items() if (note := _without_ssm(name, one, values))]
    for name, declaration in declared.items():
        if name in values:
            _check_value(name, values[name], declaration)
        else:
            values[name] = _text(declaration["Default"])  # moto reads the default of a list wrongly
    return values, notes


def _without_ssm(name: str, declaration: dict[str, Any], values: dict[str, str]) -> str | None:
    """Make a parameter whose value is the name of a parameter in SSM one that has its value."""
    kind = str(declaration.get("Type"))
    if not kind.startswith(_SSM):
        return None
    declaration["Type"] = "CommaDelimitedList" if "List" in kind else "String"
    if name in values:
        return None
    values[name] = f"{STAND_IN}{name}"
    return f"{name} is {declaration['Default']} in SSM, not known here: --parameter {name}=VALUE gives it"


def _check_value(name: str, value: str, declaration: Mapping[str, Any]) -> None:
    for wanted, allows in _CONSTRAINTS.items():
        if wanted in declaration and not allows(value, declaration[wanted]):
            raise TemplateError(f"the parameter {name} is {value!r}: {wanted} is {declaration[wanted]}")


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")  # compares as false with everything: not allowed


_CONSTRAINTS: Mapping[str, Callable[[str, Any], bool]] = {
    "AllowedValues": lambda value, allowed: value in [_text(one) for one in allowed],
    "AllowedPattern": lambda value, pattern: re.fullmatch(str(pattern), value) is not None,
    "MinValue": lambda value, least: _number(value) >= float(least),
    "MaxValue": lambda value, most: _number(value) <= float(most),
}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_MAPPING = "AWS::Lambda::EventSourceMapping"


def mapping_lines(text: str) -> dict[str, int]:
    """The line (from 1) of each mapping in a YAML or JSON template, by the logical id that it has after translation.

    The SAM translator calls the mapping of a function's event by both their names. Empty for text that is no YAML.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return {}
    return dict(_lines(root))


def _lines(root: yaml.Node | None) -> Iterator[tuple[str, int]]:
    for key, resource in _members(_member(root, "Resources")):
        kind = _member(resource, "Type")
        if kind is not None and kind.value in {_MAPPING, PIPE}:
            yield key.value, key.start_mark.line + 1
        for event, _ in _members(_member(_member(resource, "Properties"), "Events")):
            yield f"{key.value}{event.value}", event.start_mark.line + 1


def _members(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _member(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _members(node) if key.value == name), None)
