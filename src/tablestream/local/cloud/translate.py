"""From a SAM template to what the embedded AWS can create.

The SAM translator is the one AWS runs, so globals, defaults and generated resources come out as they do on deployment.
Changed on the way: code is not uploaded (see `functions.py`), event source mappings are taken out and kept aside (moto
would push records to them on every write and empty the stream; `trigger` reads the stream instead), and what cannot be
emulated becomes a stand-in that is named (see `unsupported.py`).
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tablestream.local.cloud.apis import take_apis
from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.elsewhere import Asked, Elsewhere
from tablestream.local.cloud.functions import CODE_BUCKET, CODE_KEY, Code, refuse_if_none_runs, take_code
from tablestream.local.cloud.pipes import take_pipes
from tablestream.local.cloud.tables import refuse_misdeclared, refuse_tables_without_stream
from tablestream.local.cloud.unsupported import stand_in, stand_in_for
from tablestream.local.cloud.versions import MAPPING, Qualifier, forget_dependencies, take_qualifiers
from tablestream.local.errors import TemplateError, reading
from tablestream.local.template.nested import (
    NestedStack,
    Outputs,
    known_values,
    prefix_of,
    renamed,
    rewritten,
    take_nested,
    with_text_keys,
)
from tablestream.local.template.parameters import expanded, parameter_values
from tablestream.local.template.references import refuse_missing
from tablestream.local.template.source import Template, read_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


Json = Any  # what a template or a JSON document holds
_NOTHING = Elsewhere()
_WITH_FUNCTIONS = {"Conditions", "Resources", "Outputs"}
_UNKNOWN = re.compile(r"property (\S+) not defined for resource of type (\S+)")
_UPLOADED = ("ContentUri", "DefinitionUri", "SchemaUri")  # `sam deploy` uploads what they name


@dataclass(frozen=True, slots=True)
class Translated:
    """A template ready for the embedded AWS.

    `source` is the template as it is written; `template` is plain CloudFormation, to be created with `parameters` in
    `region`; `mappings` are the event source mapping resources taken out of it, by logical id, and `qualifiers` its
    versions and aliases; `code` is each function's; `notes` say what is not done here; `missing` names the resources
    that have a stand-in, by type; `subscriptions` are those of topics, taken out like the mappings; `apis` are the
    parts of HTTP APIs.
    """

    source: Template
    template: dict[str, Any]
    mappings: dict[str, dict[str, Any]]
    code: Mapping[str, Code]
    parameters: Mapping[str, str] = field(default_factory=dict)
    qualifiers: tuple[Qualifier, ...] = ()
    notes: tuple[str, ...] = ()
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subscriptions: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    apis: dict[str, dict[str, Any]] = field(default_factory=dict)
    region: str = REGION

    def noting(self, note: str) -> Translated:
        """The same with one more note, before the others."""
        return replace(self, notes=(note, *self.notes))

    def fitted(self, models: Mapping[str, type]) -> Translated:
        """The same with a stand-in for what the embedded AWS cannot create: it knows `models`, by resource type."""
        with self.source.placing(), reading(f"the template {self.source.path}"):
            replaced = stand_in(self.template, self.mappings, models, self.apis)
        return replace(
            self,
            notes=(*self.notes, *replaced.notes),
            missing=replaced.missing,
            subscriptions=replaced.subscriptions,
        )


def translate(
    template: Template | Path,
    parameters: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    elsewhere: Elsewhere = _NOTHING,
    region: str = REGION,
) -> Translated:
    """Translate a SAM or CloudFormation template, or the one in a file; the embedded AWS is not asked, nor imported.

    `parameters` (of the command line) and `overrides` (of samconfig.toml) replace the template's defaults. `elsewhere`
    has what other stacks export, and the like. Raises TemplateError.
    """
    if not isinstance(template, Template):
        template = read_template(template)
    what = f"the template {template.path}"
    surroundings = _Surroundings(elsewhere, region, (template.path.resolve(),))
    with template.placing(), reading(what):
        values, notes = parameter_values(template.content, parameters or {}, overrides or {})
        part = _part(template, values, notes, surroundings)
        asked = surroundings.asked
        elsewhere.refuse_unasked(asked.names, part.code)
    plain = part.plain
    with part.source.placing(), reading(what):
        for section in _WITH_FUNCTIONS & set(plain):
            plain[section] = with_text_keys(plain[section], part.values)
        asked.put_exports_into(plain, notes)
        elsewhere.put_tables_into(plain, part.values, notes)
        qualifiers = take_qualifiers(plain)
        mappings = _take_mappings(plain, take_pipes(plain["Resources"], notes))
        known = part.source.knowing([*plain["Resources"], *mappings])
    with known.placing(), reading(what):
        refuse_if_none_runs(mappings, part.code)
        refuse_tables_without_stream(_unconditional(mappings), plain["Resources"])
        notes += refuse_misdeclared(_unconditional({**plain["Resources"], **mappings}), part.values, known)
        apis = take_apis(plain)
        elsewhere.take_unknown_streams(mappings, part.values, asked, notes, others=bool(apis))
        return Translated(
            source=known,
            template=plain,
            mappings=mappings,
            code=part.code,
            parameters=part.values,
            qualifiers=tuple(qualifiers.values()),
            notes=(*known.repeated.values(), *notes),
            apis=apis,
            region=region,
        )


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The values kept elsewhere, the region, and all that templates ask for of what is elsewhere.

    `files` are the template and those above it, `stack` is what a nested stack puts before the names of its template.
    """

    elsewhere: Elsewhere
    region: str
    files: tuple[Path, ...]
    stack: str = ""
    asked: Asked = field(default_factory=Asked)

    def inside(self, stack: NestedStack) -> _Surroundings:
        """Return those of a nested stack. Raises TemplateError for one that is in itself."""
        file = stack.path.resolve()
        if file in self.files:
            raise TemplateError(f"{stack.name}: {stack.path.name} is nested in itself")
        elsewhere, name = self.elsewhere.inside(stack.name), f"{self.stack}{stack.name}"
        return _Surroundings(elsewhere, self.region, (*self.files, file), name, self.asked)


@dataclass(frozen=True, slots=True)
class _Part:
    """A template in plain CloudFormation, with what its nested ones make. Mutable inside: others are put into it."""

    source: Template
    plain: dict[str, Any]
    code: dict[str, Code]
    values: dict[str, str]
    notes: list[str]


def _part(
    template: Template,
    values: dict[str, str],
    notes: list[str],
    surroundings: _Surroundings,
    given: Iterable[str] = (),
) -> _Part:
    """Translate a template of which the parameters have these values, and its nested ones.

    `given` are more parameters, whose values only the stack knows.
    """
    folder = template.path.parent
    template = expanded(template, values)
    refuse_missing(template, {*values, *given})
    elsewhere = surroundings.elsewhere
    content = elsewhere.put_into(template.content, values, notes, surroundings.asked)
    nested = take_nested(content, folder, notes)
    own = {name: one for name, one in elsewhere.code.items() if name in content["Resources"]}
    code = take_code(content, folder, values, own, surroundings.stack)
    _forget_uploads(content)
    part = _Part(template, _translate(content, values, surroundings.region), code, values, notes)
    refuse_missing(template, {*values, *given}, part.plain)
    taken = {*part.plain["Resources"], *(stack.name for stack in nested)}
    outputs: dict[str, Json] = {}
    for stack in nested:
        outputs[stack.name], part = _with_nested(part, stack, taken, surroundings.inside(stack))
    if outputs:
        for section in ("Conditions", "Resources", "Outputs"):
            if section in part.plain:
                part.plain[section] = rewritten(part.plain[section], Outputs(outputs))
    return part


def _with_nested(
    parent: _Part, stack: NestedStack, taken: set[str], surroundings: _Surroundings
) -> tuple[dict[str, Json], _Part]:
    """Put what a nested stack makes into its parent; return its outputs, and the parent."""
    above = parent.source
    template = read_template(stack.path, os.path.relpath(stack.path, surroundings.files[0].parent))
    known, given = known_values(stack.parameters, parent.values)
    declared = template.content.get("Parameters") or {}
    if unknown := sorted(set(stack.parameters) - set(declared)):
        wanted = ", ".join(declared) or "none"
        raise TemplateError(f"{stack.name}: its Parameters have {unknown[0]}, and {template.label} has {wanted}")
    with template.placing():
        for name in given:
            del declared[name]
        values, notes = parameter_values(template.content, known, {}, stack.name)
        part = _part(template, values, notes, surroundings, given)
    prefix = prefix_of(stack.name, part.plain, taken)
    made = renamed(part.plain, stack, prefix, given)
    outputs = part.plain.get("Outputs") or {}
    surroundings.asked.exported(outputs, part.values, made["Outputs"], surely=stack.condition is None)
    taken |= set(made["Resources"])
    for section in ("Conditions", "Mappings", "Parameters", "Resources"):
        if made[section]:
            parent.plain[section] = {**(parent.plain.get(section) or {}), **made[section]}
    parent.code.update({f"{prefix}{name}": one for name, one in part.code.items()})
    parent.values.update({f"{prefix}{name}": value for name, value in part.values.items()})
    parent.notes.extend(part.source.placed(note) for note in part.notes)
    return made["Outputs"], replace(parent, source=above.holding(part.source, prefix))


def _forget_uploads(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        properties = resource.get("Properties") if isinstance(resource, dict) else None
        if not isinstance(properties, dict):
            continue
        for name in _UPLOADED:
            if isinstance(properties.get(name), str) and not properties[name].startswith("s3://"):
                properties[name] = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}


def _translate(source: dict[str, Any], parameters: dict[str, str], region: str) -> dict[str, Any]:
    if not source["Resources"]:  # nested stacks and nothing else: the translator wants a resource
        return {name: copy.deepcopy(source[name]) for name in source if name not in {"Globals", "Transform"}}
    # Imported late: it takes half a second, and what is refused before needs none of it.
    import boto3
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it tells users of features of its own
    session = boto3.Session(region_name=region, aws_access_key_id="local", aws_secret_access_key="local")
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    try:
        translated = translator.translate(copy.deepcopy(source), dict(parameters))
    except InvalidDocumentException as error:
        causes = "; ".join(f"{cause.message}{_meant(str(cause.message))}" for cause in error.causes)
        raise TemplateError(f"the SAM translator refuses the template: {causes}") from error
    except Exception as error:  # of a template that it did not think of
        raise TemplateError(f"the SAM translator fails on the template: {type(error).__name__}: {error}") from error
    # Through JSON, because the translator returns its own dict classes.
    plain: dict[str, Any] = json.loads(json.dumps(translated))
    return plain


def _meant(complaint: str) -> str:
    """The property that was probably meant, in the words of the translator's complaint about one that there is not."""
    from samtranslator.model import Resource

    found = _UNKNOWN.search(complaint)
    classes: list[type[Resource]] = [Resource]
    for one in classes:  # it grows meanwhile
        classes += one.__subclasses__()
    kinds = [one for one in classes if found and getattr(one, "resource_type", None) == found[2]]
    names = [name for one in kinds for name in one.property_types]
    close = get_close_matches(found[1], names, 1) if found else []
    return f": did you mean {close[0]}?" if close else ""


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


def _unconditional(resources: Mapping[str, Json]) -> dict[str, Json]:
    return {name: resource for name, resource in resources.items() if "Condition" not in resource}


def _names_any(value: Json, names: Iterable[str]) -> bool:
    text = json.dumps(value)
    return any(f'"{name}"' in text or f"${{{name}}}" in text for name in names)
