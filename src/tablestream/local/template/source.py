"""A template as it is written: its content as plain values, and the line of everything in it that has a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Self

import yaml

from tablestream.local.errors import TemplateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

Json = Any  # what a template holds
LONGEST_TOLD = 60  # characters of what came
_NAMED = ("Mappings", "Conditions", "Outputs", "Parameters", "Resources")
"""The sections whose members have names, those that a sentence is about first last: they win."""
VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")
"""A variable in the text of Fn::Sub."""
_PLACED = re.compile(r"[^:]+, line \d+: |[^:]+\.(yaml|yml|json|template): ")
_WORD = re.compile(r"[A-Za-z0-9][^\s,;(){}\"]*[A-Za-z0-9]|[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Template:
    """A SAM or CloudFormation template: its content, and the line (from 1) of each name in it.

    The SAM translator makes names of these by adding to them. An event of a function is among them by both names, and
    so is what it imports from other stacks.
    `repeated` has a sentence for each name under which something stands twice, mostly by a slip in its indentation.
    `details` has the line of each text within a member of a section, by section, member and text.
    `label` is what sentences call the file of a nested template, and `files` has these for the names that come of one.
    """

    path: Path
    content: dict[str, Json]
    lines: Mapping[str, int] = field(default_factory=dict)
    repeated: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def place(self, name: str) -> str:
        """The file and line of a name; empty for one that the template has not, nor has anything it was made of."""
        line = self.lines.get(name)
        return "" if line is None else f"{self.files.get(name, self.label or self.path.name)}, line {line}"

    def place_of(self, section: str, name: str, *texts: str) -> str:
        """The file and line of the first of these texts that a section's member has in it, else those of its name."""
        found = [line for text in texts if (line := self.details.get((section, name, text))) is not None]
        return f"{self.files.get(name, self.label or self.path.name)}, line {found[0]}" if found else self.place(name)

    def knowing(self, made: Iterable[str]) -> Self:
        """The template with the names that were made of its own, which are where their beginnings are."""
        own = sorted(self.lines, key=len, reverse=True)
        places = ((name, next((one for one in own if name.startswith(one)), None)) for name in made)
        found = {name: source for name, source in places if source is not None}
        files = {name: self.files[source] for name, source in found.items() if source in self.files}
        lines = {name: self.lines[source] for name, source in found.items()}
        return replace(self, lines={**lines, **self.lines}, files={**files, **self.files})

    def holding(self, nested: Self, prefix: str) -> Self:
        """The template with the names of a nested one, with this text before them, where they are in its file."""
        return replace(
            self,
            lines={**self.lines, **{f"{prefix}{name}": line for name, line in nested.lines.items()}},
            files={
                **self.files,
                **{f"{prefix}{name}": nested.files.get(name, nested.label) for name in nested.lines},
            },
            repeated={**self.repeated, **{f"{prefix}{name}": told for name, told in nested.repeated.items()}},
            details={
                **self.details,
                **{(section, f"{prefix}{name}", text): n for (section, name, text), n in nested.details.items()},
            },
        )

    def placed(self, sentence: str, *, short: bool = False) -> str:
        """The sentence behind the place of the first name of the template in it; as it is if there is none."""
        named = next((word for word in _WORD.findall(sentence) if word in self.lines), None)
        if named is None or _PLACED.match(sentence):
            return sentence
        short = short and named not in self.files
        return f"{f'line {self.lines[named]}' if short else self.place(named)}: {sentence}"

    def _explained(self, sentence: str) -> str:
        told = self.placed(sentence)
        slips = [self.repeated[word] for word in dict.fromkeys(_WORD.findall(sentence)) if word in self.repeated]
        return ". ".join([told, *(slip for slip in slips if slip not in told)])

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Within the with block whatever the user is told to mend begins with the line where it stands."""
        try:
            yield
        except UsageError as error:
            told = self._explained(str(error))
            if self.label and told == str(error) and not _PLACED.match(told):
                told = f"{self.label}: {told}"
            if told == str(error):
                raise
            raise type(error)(told) from error


def read_template(path: Path, label: str = "") -> Template:
    """The template at `path`. Raises TemplateError for what is none, with the line where that is known."""
    text = _read(path)
    loader = _loader()(text)
    try:
        root = loader.get_single_node()
        loaded = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, ValueError, TypeError) as error:  # TypeError: of a mapping whose key is an object
        raise TemplateError(f"{path} is not a YAML or JSON template: {in_a_line(error)}") from error
    finally:
        loader.dispose()
    if not isinstance(loaded, dict) or not isinstance(loaded.get("Resources"), dict):
        raise TemplateError(f"{path} has no Resources section, so it is no SAM or CloudFormation template")
    template = Template(path, loaded, dict(_lines(root)), dict(_repeated(root)), label, details=_details(root))
    with template.placing():
        check(loaded)
    return replace(template, content=_with_text_for_dates(loaded))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(f"cannot read the template {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"the template {path} is not UTF-8: {error}") from error


def _loader() -> Any:
    """A loader of YAML for the short forms of intrinsic functions, such as !Ref; libyaml's where it is there."""
    base = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    loader: Any = type("TemplateLoader", (base,), {})
    loader.add_multi_constructor("!", _intrinsic)
    return loader


def _intrinsic(loader: Any, _prefix: str, node: yaml.Node) -> dict[str, Json]:
    """The long form of an intrinsic function: {"Ref": …}, {"Fn::GetAtt": […]}."""
    tag = node.tag[1:]
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    value = loader.construct_scalar(node)
    return {name: value.split(".", 1) if tag == "GetAtt" else value}


def in_a_line(error: Exception) -> str:
    """The complaint of the parser and where it stumbled, in one line."""
    mark = getattr(error, "problem_mark", None)
    told = getattr(error, "problem", None) or str(error)
    return f"{' '.join(told.split())}" + ("" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})")


def check(content: dict[str, Json]) -> None:
    """Raise TemplateError for sections and resources that are none; loops are not looked into."""
    for section in ("Conditions", "Globals", "Mappings", "Outputs", "Parameters"):
        for name, member in _section(content, section).items():
            if not isinstance(member, dict) and not str(name).startswith("Fn::ForEach::"):
                raise TemplateError(f"{section}: {name} is {_short(member)}: wanted an object")
    for name, resource in content["Resources"].items():
        _check_resource(name, resource)


def _section(template: dict[str, Json], section: str) -> dict[Any, Any]:
    content = template.get(section)
    if content is None:
        template.pop(section, None)
        return {}
    if not isinstance(content, dict):
        raise TemplateError(f"the section {section} is {_short(content)}: wanted an object")
    return content


def _check_resource(name: Json, resource: Json) -> None:
    if not isinstance(name, str):
        raise TemplateError(
            f"the name of a resource is {name!r}: wanted text, in quotes where YAML takes it for a value"
        )
    if name.startswith("Fn::ForEach::"):
        return  # a loop, that makes resources
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


def _lines(root: yaml.Node | None) -> Iterator[tuple[str, int]]:
    yield from _imports(root)
    for section in _NAMED:
        for key, member in _members(_member(root, section)):
            yield str(key.value), key.start_mark.line + 1
            for event, _ in _members(_member(_member(member, "Properties"), "Events")):
                yield f"{key.value}{event.value}", event.start_mark.line + 1


def _details(root: yaml.Node | None) -> dict[tuple[str, str, str], int]:
    """The first line of each text in a member; what an event has in it belongs to the name that SAM makes of it too."""
    found: dict[tuple[str, str, str], int] = {}
    for section in ("Globals", *_NAMED):
        for key, member in _members(_member(root, section)):
            events = _members(_member(_member(member, "Properties"), "Events"))
            for name, node in ((key.value, member), *((f"{key.value}{one.value}", event) for one, event in events)):
                for text, line in _texts(node):
                    found.setdefault((section, name, text), line)
    return found


def _texts(node: yaml.Node) -> Iterator[tuple[str, int]]:
    """The texts in a node, and the variables in them."""
    if isinstance(node, yaml.ScalarNode):
        line = node.start_mark.line + 1
        yield node.value, line
        for variable in VARIABLE.finditer(node.value):
            # A block keeps its lines, and begins below its sign; other text may be folded.
            yield (
                variable[1].strip(),
                line + 1 + node.value.count("\n", 0, variable.start()) if node.style == "|" else line,
            )
    for key, value in _members(node):
        yield from _texts(key)
        yield from _texts(value)
    for entry in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _texts(entry)


def _imports(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """The names under which values are imported, also those in a text with parameters in it."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "!ImportValue":
        yield node.value, node.start_mark.line + 1
    for key, value in _members(node):
        if key.value == "Fn::ImportValue" and isinstance(value, yaml.ScalarNode):
            yield value.value, value.start_mark.line + 1
        yield from _imports(value)
    for entry in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _imports(entry)


def _repeated(root: yaml.Node | None) -> Iterator[tuple[str, str]]:
    for section in _NAMED:
        for name, member in _members(_member(root, section)):
            seen: dict[str, int] = {}
            for key, _ in _members(member):
                line = key.start_mark.line + 1
                if key.value in seen:
                    told = f"{name.value} has {key.value} twice, in line {seen[key.value]} and line {line}"
                    yield name.value, f"{told}: the second counts"
                    break
                seen[key.value] = line


def _members(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _member(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _members(node) if key.value == name), None)
