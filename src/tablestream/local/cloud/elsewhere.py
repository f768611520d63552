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
from tablestream.local.template.nested import rewritten
from tablestream.local.template.parameters import STAND_IN

Json = Any  # what a template holds
_STREAM = re.compile(r":table/([^/]+)/stream/")
_OF_STREAMS = {"EventSourceArn", "Source"}
_KEY, _KEY_TYPES = ("HASH", "RANGE"), {"S", "N", "B"}
_REFERENCE = re.compile(r"\{\{resolve:([^}]+)\}\}")


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
        self, template: dict[str, Json], parameters: Mapping[str, str], notes: list[str], asked: set[str]
    ) -> dict[str, Json]:
        """Return a template with these values in their places; add a note for each import that was not given.

        `parameters` are the values of the template's, of which the name of an export may be made. What the template
        asks for is added to `asked`.
        """
        filled: dict[str, Json] = self._filled(template, parameters, notes, asked)
        return filled

    def put_tables_into(self, plain: dict[str, Json], values: Mapping[str, str]) -> None:
        """Put the tables that were given into a translated template; what names the stream of one refers to it then.

        `values` are those of its parameters. Raises TemplateError for a key that is none.
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

    def _filled(self, value: Json, parameters: Mapping[str, str], notes: list[str], asked: set[str]) -> Json:
        if isinstance(value, list):
            return [self._filled(entry, parameters, notes, asked) for entry in value]
        if isinstance(value, str):
            return _REFERENCE.sub(lambda found: self._referred(found, asked), value)
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

    def _imported(self, name: str, notes: list[str], asked: set[str]) -> str:
        asked.add(name)
        if name in self.imports:
            return self.imports[name]
        notes.append(f"{name} is exported by another stack, and not known here: --import {name}=VALUE gives it")
        return f"{STAND_IN}{re.sub('[^A-Za-z0-9]+', '-', name).strip('-')}"


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


def _export_name(name: Json, parameters: Mapping[str, str]) -> str:
    """Return the name of an export, where it is text or text with parameters in it."""
    text = name.get("Fn::Sub") if isinstance(name, dict) else name
    if isinstance(name, dict) and set(name) == {"Ref"}:
        return parameters.get(str(name["Ref"]), json.dumps(name))
    if not isinstance(text, str):
        return json.dumps(name)
    return re.sub(r"\$\{(\w+)\}", lambda found: parameters.get(found[1], found[0]), text)
