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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tablestream.local.cloud.apis import take_apis
from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.elsewhere import Elsewhere
from tablestream.local.cloud.functions import CODE_BUCKET, CODE_KEY, Code, refuse_if_none_runs, take_code
from tablestream.local.cloud.pipes import take_pipes
from tablestream.local.cloud.unsupported import GLOBAL_TABLE, TABLE, stand_in, stand_in_for
from tablestream.local.cloud.versions import MAPPING, Qualifier, forget_dependencies, stream_of, take_qualifiers
from tablestream.local.errors import TemplateError, reading
from tablestream.local.template.parameters import expanded, parameter_values
from tablestream.local.template.source import Template, read_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


Json = Any  # what a template or a JSON document holds
_NOTHING = Elsewhere()
_TABLES = (TABLE, GLOBAL_TABLE)
_UPLOADED = ("ContentUri", "DefinitionUri", "SchemaUri")  # `sam deploy` uploads what they name


@dataclass(frozen=True, slots=True)
class Translated:
    """A template ready for the embedded AWS.

    `source` is the template as it is written; `template` is plain CloudFormation, to be created with `parameters`;
    `mappings` are the event source mapping resources taken out of it, by logical id, and `qualifiers` its versions and
    aliases; `code` is each function's; `notes` say what is not done here; `missing` names the resources that have a
    stand-in, by type; `subscriptions` are those of topics, taken out like the mappings; `apis` are the parts of HTTP
    APIs.
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
) -> Translated:
    """Translate a SAM or CloudFormation template, or the one in a file; the embedded AWS is not asked, nor imported.

    `parameters` (of the command line) and `overrides` (of samconfig.toml) replace the template's defaults. `elsewhere`
    has what other stacks export, and the like. Raises TemplateError.
    """
    if not isinstance(template, Template):
        template = read_template(template)
    what = f"the template {template.path}"
    with template.placing(), reading(what):
        values, notes = parameter_values(template.content, parameters or {}, overrides or {})
        template = expanded(template, values)
        source = elsewhere.put_into(template.content, values, notes)
        code = take_code(source, template.path.parent, values, elsewhere.code)
        _forget_uploads(source)
        plain = _translate(source, values)
        qualifiers = take_qualifiers(plain)
        mappings = _take_mappings(plain, take_pipes(plain["Resources"], notes))
        known = template.knowing([*plain["Resources"], *mappings])
    with known.placing(), reading(what):
        refuse_if_none_runs(mappings, code)
        refuse_tables_without_stream(_unconditional(mappings), plain["Resources"])
        return Translated(
            source=known,
            template=plain,
            mappings=mappings,
            code=code,
            parameters=values,
            qualifiers=tuple(qualifiers.values()),
            notes=(*known.repeated.values(), *notes),
            apis=take_apis(plain),
        )


def _forget_uploads(template: dict[str, Any]) -> None:
    for resource in template["Resources"].values():
        properties = resource.get("Properties") if isinstance(resource, dict) else None
        if not isinstance(properties, dict):
            continue
        for name in _UPLOADED:
            if isinstance(properties.get(name), str) and not properties[name].startswith("s3://"):
                properties[name] = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}


def _translate(source: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    # Imported late: it takes half a second, and what is refused before needs none of it.
    import boto3
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

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


def refuse_tables_without_stream(mappings: Mapping[str, Json], resources: Mapping[str, Json]) -> None:
    """Raise TemplateError for a mapping that reads the stream of something that has none."""
    for name, mapping in mappings.items():
        table = stream_of((mapping.get("Properties") or {}).get("EventSourceArn"))
        if table is None or table not in resources:
            continue
        kind, properties = resources[table]["Type"], resources[table].get("Properties") or {}
        wanted = f"{name} reads the stream of {table}, which has none: wanted a"
        if not kind.startswith(_TABLES):
            raise TemplateError(f"{wanted} table with a StreamSpecification, got {kind}")
        if "StreamSpecification" not in properties:
            raise TemplateError(f"{wanted} StreamSpecification there, with a StreamViewType")


def _unconditional(mappings: Mapping[str, Json]) -> dict[str, Json]:
    return {name: mapping for name, mapping in mappings.items() if "Condition" not in mapping}


def _names_any(value: Json, names: Iterable[str]) -> bool:
    text = json.dumps(value)
    return any(f'"{name}"' in text or f"${{{name}}}" in text for name in names)
