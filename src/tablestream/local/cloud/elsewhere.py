"""Parts of a template that are kept elsewhere: exports of other stacks, parameters and secrets, code in a bucket.

They are not known here. The command line gives them, and a value that it does not give is said and gets text in its
place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from tablestream.local.cloud.unsupported import TABLE
from tablestream.local.errors import TemplateError
from tablestream.local.template.nested import known_text, rewritten
from tablestream.local.template.parameters import STAND_IN

Json = Any  # what a template holds
_STREAM = re.compile(r":table/([^/]+)/stream/")
_OF_STREAMS = {"EventSourceArn", "Source"}
_STACK_NAME = "AWS::StackName"
_KEY, _KEY_TYPES = ("HASH", "RANGE"), {"S", "N", "B"}
_REFERENCE = re.compile(r"\{\{resolve:([^}]+)\}\}")


@dataclass(slots=True)
class Asked:
    """The questions of templates for what is elsewhere. Mutable: they are found as templates are read.

    `stand_ins` has the exports that were not given, by the text in the place of each, and `exports` the values that
    nested stacks export.
    """

    names: set[str] = field(default_factory=set)
    stand_ins: dict[str, str] = field(default_factory=dict)
    exports: dict[str, Json] = field(default_factory=dict)

    def exported(
        self, outputs: Mapping[str, Json], values: Mapping[str, str], made: Mapping[str, Json], *, surely: bool
    ) -> None:
        """Remember what a nested stack exports: its outputs, with these values of parameters, and what is made of them.

        One that is `surely` there comes before one with a condition. A name that depends on the stack's own is left
        out: it is another one here.
        """
        for name, output in outputs.items():
            export = (output.get("Export") or {}).get("Name")
            if export is None or _STACK_NAME in json.dumps(export):
                continue
            exported = _export_name(export, values)
            self.exports[exported] = made[name] if surely else self.exports.get(exported, made[name])

    def put_exports_into(self, plain: dict[str, Json], notes: list[str]) -> None:
        """Put what nested stacks export into a translated template, where others import it; take the notes back."""
        known = {text: self.exports[name] for text, name in self.stand_ins.items() if name in self.exports}
        for section in ("Resources", "Outputs"):
            if known and section in plain:
                plain[section] = _exchanged(plain[section], known)
        for text in known:
            _forget(notes, self.stand_ins.pop(text))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The values that were given: exports by their names, what dynamic references stand for, folders of functions.

    `tables` of other stacks are made here, with a stream; each has the attributes of its key, as in `id` or `pk,sk:N`.
    A reference is what stands between `{{resolve:` and `}}`, as `ssm:/a/b`, with or without a version at its end.
    """

    imports: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)

    def put_into(
        self, template: dict[str, Json], parameters: Mapping[str, str], notes: list[str], asked: Asked
    ) -> dict[str, Json]:
        """Return a template with these values in their places; add a note for each import that was not given.

        `parameters` are the values of the template's, of which the name of an export may be made. What the template
        asks for is added to `asked`.
        """
        filled: dict[str, Json] = self._filled(template, parameters, notes, asked)
        return filled

    def put_tables_into(self, plain: dict[str, Json], values: Mapping[str, str], notes: list[str]) -> None:
        """Put the tables that were given into a translated template; what names the stream of one refers to it then.

        `values` are those of its parameters. A note tells of a table whose stream nothing names. Raises TemplateError
        for a key that is none.
        """
        if not self.tables:
            return
        ids: dict[str, str] = {}
        for name, key in self.tables.items():
            logical_id = f"Table{re.sub('[^A-Za-z0-9]', '', name)}"
            while logical_id in plain["Resources"]:
                logical_id += "Elsewhere"
            ids[name] = logical_id
            plain["Resources"][logical_id] = _table(name, key)
        streams = _Streams(values, ids)
        for section in ("Resources", "Outputs"):
            if section in plain:
                plain[section] = rewritten(plain[section], streams)
        for resource in plain["Resources"].values():
            properties = resource.get("Properties") or {}
            for name in _OF_STREAMS & set(properties):
                properties[name] = streams.of(properties[name]) or properties[name]
        written = json.dumps([plain.get(section) for section in ("Resources", "Outputs")])
        for name, logical_id in ids.items():
            if not any(used in written for used in (f'["{logical_id}", "StreamArn"]', f"${{{logical_id}.StreamArn}}")):
                notes.append(f"--table {name}: the table is made, and nothing in the template reads its stream")

    def take_unknown_streams(
        self,
        mappings: dict[str, dict[str, Json]],
        values: Mapping[str, str],
        asked: Asked,
        notes: list[str],
        *,
        others: bool,
    ) -> None:
        """Take out the mappings whose streams are elsewhere and were not given, with a note for each.

        `values` are those of parameters. Raises TemplateError where nothing is left to invoke functions, unless there
        are `others` that do.
        """
        table, key = next(iter(self.tables.items()), ("NAME", "KEY"))
        told: list[str] = []
        for name, mapping in list(mappings.items()):
            arn = (mapping.get("Properties") or {}).get("EventSourceArn")
            if (found := _not_given(arn, values, asked)) is None:
                continue
            what, option = found
            told.append(
                f"{name} reads the stream that {what}, which is not known here: "
                f"{option}=arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/1 gives it, "
                f"and --table {table}={key} makes its table"
            )
            others = others or "Condition" in mapping
            del mappings[name]
            _forget(notes, option.partition(" ")[2])
        if told and not mappings and not others:
            raise TemplateError(told[0])
        notes.extend(told)

    def refuse_unasked(self, asked: AbstractSet[str], functions: Collection[str]) -> None:
        """Raise TemplateError for something that was given and that no template asks for, or has no function for."""
        for option, given in (("--import", self.imports), ("--resolve", self.references)):
            if unknown := sorted(set(given) - asked):
                wanted = ", ".join(sorted(asked)) or "none at all"
                raise TemplateError(f"{option} {unknown[0]}: the template asks for no such value, but for {wanted}")
        if unknown := sorted(set(self.code) - set(functions)):
            known = ", ".join(sorted(functions)) or "none at all"
            raise TemplateError(f"--code {unknown[0]}: the template has no such function, but {known}")

    def inside(self, stack: str) -> Elsewhere:
        """Return the same for a nested stack, whose functions have its name before theirs."""
        own = {name.removeprefix(stack): folder for name, folder in self.code.items() if name.startswith(stack)}
        return replace(self, code=own)

    def _filled(self, value: Json, parameters: Mapping[str, str], notes: list[str], asked: Asked) -> Json:
        if isinstance(value, list):
            return [self._filled(entry, parameters, notes, asked) for entry in value]
        if isinstance(value, str):
            return _REFERENCE.sub(lambda found: self._referred(found, asked.names), value)
        if not isinstance(value, dict):
            return value
        if set(value) == {"Fn::ImportValue"}:
            return self._imported(_export_name(value["Fn::ImportValue"], parameters), notes, asked)
        return {key: self._filled(entry, parameters, notes, asked) for key, entry in value.items()}

    def _referred(self, found: re.Match[str], asked: set[str]) -> str:
        reference = found[1]
        without_version = re.sub(r"(?<=[^:]):\d+$", "", reference)
        asked |= {reference, without_version}
        return self.references.get(reference, self.references.get(without_version, found[0]))

    def _imported(self, name: str, notes: list[str], asked: Asked) -> str:
        asked.names.add(name)
        if name in self.imports:
            return self.imports[name]
        notes.append(_not_known(name))
        text = f"{STAND_IN}{re.sub('[^A-Za-z0-9]+', '-', name).strip('-')}"
        asked.stand_ins[text] = name
        return text


@dataclass(frozen=True, slots=True)
class _Streams:
    """The streams of tables that were given, in the place of parameters that hold the ARN of one."""

    values: Mapping[str, str]
    ids: Mapping[str, str]

    def of(self, arn: Json) -> Json:
        found = _STREAM.search(arn) if isinstance(arn, str) else None
        logical_id = self.ids.get(found[1]) if found else None
        return None if logical_id is None else {"Fn::GetAtt": [logical_id, "StreamArn"]}

    def reference(self, name: str) -> Json:
        return self.of(self.values.get(name))

    def attribute(self, _name: str, _attribute: str) -> Json:
        return None

    def label(self, name: str) -> str:
        return name


def _table(name: str, key: str) -> dict[str, Json]:
    attributes = [(attribute, kind or "S") for attribute, _, kind in (part.partition(":") for part in key.split(","))]
    if len(attributes) > len(_KEY) or not all(attribute and kind in _KEY_TYPES for attribute, kind in attributes):
        raise TemplateError(f"--table {name}={key}: wanted one attribute or two, such as id, or pk,sk:N")
    return {
        "Type": TABLE,
        "Properties": {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": one, "AttributeType": kind} for one, kind in attributes],
            "KeySchema": [
                {"AttributeName": one, "KeyType": role} for (one, _), role in zip(attributes, _KEY, strict=False)
            ],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
    }


def _not_known(export: str) -> str:
    return f"{export} is exported by another stack, and not known here: --import {export}=VALUE gives it"


def _forget(notes: list[str], export: str) -> None:
    """Take back that an export is not known."""
    told = _not_known(export)
    notes[:] = [note for note in notes if note != told and not note.endswith(f": {told}")]


def _exchanged(value: Json, known: Mapping[str, Json]) -> Json:
    if isinstance(value, list):
        return [_exchanged(entry, known) for entry in value]
    if isinstance(value, dict):
        return {key: _exchanged(entry, known) for key, entry in value.items()}
    return known.get(value, value) if isinstance(value, str) else value


def _not_given(arn: Json, values: Mapping[str, str], asked: Asked) -> tuple[str, str] | None:
    """The holder of a stream's ARN, and the option that gives it; None for one that is known, or only to the stack."""
    text = known_text(arn, values) or ""
    if text in asked.stand_ins:
        return f"another stack exports as {asked.stand_ins[text]}", f"--import {asked.stand_ins[text]}"
    if text.startswith(STAND_IN) and isinstance(arn, dict) and "Ref" in arn:
        return f"the parameter {arn['Ref']} has in SSM", f"--parameter {arn['Ref']}"
    if reference := _REFERENCE.fullmatch(text):
        return f"{text} stands for", f"--resolve {reference[1]}"
    return None


def _export_name(name: Json, parameters: Mapping[str, str]) -> str:
    """Return the name of an export, where it is text or text with parameters in it."""
    text = name.get("Fn::Sub") if isinstance(name, dict) else name
    if isinstance(name, dict) and set(name) == {"Ref"}:
        return parameters.get(str(name["Ref"]), json.dumps(name))
    if not isinstance(text, str):
        return json.dumps(name)
    return re.sub(r"\$\{(\w+)\}", lambda found: parameters.get(found[1], found[0]), text)
