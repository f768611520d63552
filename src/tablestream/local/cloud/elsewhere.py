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

from tablestream.local.errors import TemplateError
from tablestream.local.template.parameters import STAND_IN

Json = Any  # what a template holds
_REFERENCE = re.compile(r"\{\{resolve:([^}]+)\}\}")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The values that were given: exports by their names, what dynamic references stand for, folders of functions.

    A reference is what stands between `{{resolve:` and `}}`, as `ssm:/a/b`, with or without a version at its end.
    """

    imports: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)

    def put_into(
        self, template: dict[str, Json], parameters: Mapping[str, str], notes: list[str], asked: set[str]
    ) -> dict[str, Json]:
        """Return a template with these values in their places; add a note for each import that was not given.

        `parameters` are the values of the template's, of which the name of an export may be made. What the template
        asks for is added to `asked`.
        """
        filled: dict[str, Json] = self._filled(template, parameters, notes, asked)
        return filled

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


def _export_name(name: Json, parameters: Mapping[str, str]) -> str:
    """Return the name of an export, where it is text or text with parameters in it."""
    text = name.get("Fn::Sub") if isinstance(name, dict) else name
    if isinstance(name, dict) and set(name) == {"Ref"}:
        return parameters.get(str(name["Ref"]), json.dumps(name))
    if not isinstance(text, str):
        return json.dumps(name)
    return re.sub(r"\$\{(\w+)\}", lambda found: parameters.get(found[1], found[0]), text)
