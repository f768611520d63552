"""References in a template: to parameters, resources, conditions and mappings, and whether these are there.

In AWS a reference to nothing is refused before anything is created. So it is here, before the embedded AWS is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from tablestream.local.errors import TemplateError
from tablestream.local.template.source import VARIABLE, Template

Json = Any  # what a template holds
MOST_LISTED = 8  # names that may have been meant
PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in (
        "AccountId",
        "NoValue",
        "NotificationARNs",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    )
)
_PSEUDO = "AWS::"
_SAM = "AWS::Serverless-2016-10-31"
_OF_SAM = ("Serverless", "CodeDeployServiceRole", "ApiGatewayDomainName", "RecordSetGroup")
"""The beginnings of names that the SAM translator makes, besides those of the template's own resources."""
_FREE = {"Metadata", "Type"}  # parts of a resource that refer to nothing here


class Reference(NamedTuple):
    """A name that a member of a section refers to in one of its properties, and the kind of thing that is to have it.

    `text` is the reference as it is written.
    """

    section: str
    owner: str
    path: tuple[str, ...]
    kind: str
    name: str
    text: str


class _Kind(NamedTuple):
    verb: str
    otherwise: str


_KINDS = {
    "value": _Kind("refers to", "neither a parameter nor a resource"),
    "parameter": _Kind("refers to", "no parameter"),
    "attribute": _Kind("refers to an attribute of", "no resource"),
    "dependency": _Kind("depends on", "no resource"),
    "condition": _Kind("has the condition", "not in Conditions"),
    "mapping": _Kind("looks into", "not in Mappings"),
}
_WRITTEN = {"parameter", "mapping"}  # the translator makes none
_OWNERS = {"Outputs": "the output ", "Conditions": "the condition ", "Globals": "Globals: "}


def referred(reference: Json) -> str | None:
    """The logical id that a Ref or Fn::GetAtt names."""
    if not isinstance(reference, dict):
        return None
    path = reference.get("Fn::GetAtt", [None])
    name: str | None = reference.get("Ref") or (path.partition(".")[0] if isinstance(path, str) else path[0])
    return name


def refuse_missing(template: Template, parameters: Collection[str], plain: Mapping[str, Json] | None = None) -> None:
    """Raise TemplateError for the first reference of a template to something that is not there.

    `plain` is what the SAM translator has made of it: more names. Without it a name that may be one of these is let
    through. Nothing is refused in a template of which a macro makes something else.
    """
    content = template.content
    if not _is_whole(content):
        return
    known = _known(content, parameters, plain or {})
    own = _known(content, parameters, {})
    may_be = (*_OF_SAM, *content["Resources"]) if plain is None else tuple(_modules(content["Resources"]))
    for one in references(content):
        if one.name in known[one.kind] or (one.kind not in _WRITTEN and one.name.startswith(may_be)):
            continue
        told = f"{_told(one)}: {_meant(one, own[one.kind])}"
        place = template.place_of(one.section, one.owner, one.text, one.name)
        raise TemplateError(f"{place}: {told}" if place else told)


def references(content: Mapping[str, Json]) -> Iterator[Reference]:
    """Yield all references of a template; its loops are done, and its rules, which check parameters, are left out."""
    for section in ("Conditions", "Globals", "Resources", "Outputs"):
        for owner, member in (content.get(section) or {}).items():
            for path, kind, text in _of_member(section, member):
                name = text.partition(".")[0]
                named = "attribute" if name != text else "parameter" if section == "Conditions" else kind
                yield Reference(section, str(owner), path, named if kind == "value" else kind, name, text)


_Found = tuple[tuple[str, ...], str, str]  # the path, the kind, the text


def _of_member(section: str, member: Json) -> Iterator[_Found]:
    if section in {"Conditions", "Globals"}:
        yield from _within(member, (), conditions=section == "Conditions")
        return
    for key, value in member.items():
        if key == "Condition" and isinstance(value, str):
            yield (), "condition", value
        elif key == "DependsOn":
            yield from (((), "dependency", one) for one in _listed(value) if isinstance(one, str))
        elif key not in _FREE:
            yield from _within(value, () if key == "Properties" else (str(key),))


def _within(value: Json, path: tuple[str, ...], *, conditions: bool = False) -> Iterator[_Found]:
    """References in a value; {"Condition": …} names one in other conditions only: policies have such objects too."""
    if isinstance(value, list):
        for entry in value:
            yield from _within(entry, path, conditions=conditions)
    if not isinstance(value, dict):
        return
    for key, entry in value.items():
        if len(value) == 1 and (key in _READ or (conditions and key == "Condition")):
            yield from ((path, kind, text) for kind, text in _READ.get(key, _condition)(entry))
        inner = path if str(key).startswith("Fn::") else (*path, str(key))
        yield from _within(entry, inner, conditions=conditions)


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


_Read = Iterator[tuple[str, str]]  # of what a function refers to: the kind, the text


def _reference(argument: Json) -> _Read:
    if isinstance(argument, str):
        yield "value", argument


def _attribute(argument: Json) -> _Read:
    parts = _listed(argument)
    if parts and isinstance(parts[0], str):
        yield "attribute", ".".join(parts) if all(isinstance(part, str) for part in parts) else parts[0]


def _substitution(argument: Json) -> _Read:
    text, variables = [*_listed(argument), None, None][:2]
    own = variables if isinstance(variables, dict) else {}
    for name in VARIABLE.findall(text) if isinstance(text, str) else ():
        if name not in own:
            yield "value", name.strip()


def _condition(argument: Json) -> _Read:
    yield from (("condition", name) for name in _listed(argument)[:1] if isinstance(name, str))


def _mapping(argument: Json) -> _Read:
    yield from (("mapping", name) for name in _listed(argument)[:1] if isinstance(name, str))


_READ: Mapping[str, Callable[[Json], _Read]] = {
    "Ref": _reference,
    "Fn::GetAtt": _attribute,
    "Fn::Sub": _substitution,
    "Fn::If": _condition,
    "Fn::FindInMap": _mapping,
}


def _is_whole(content: Mapping[str, Json]) -> bool:
    """Whether nothing but the SAM translator makes more of it: another macro may add what it refers to."""
    return "Fn::Transform" not in content and all(one == _SAM for one in _listed(content.get("Transform") or []))


def _modules(resources: Mapping[str, Json]) -> Iterator[str]:
    return (name for name, one in resources.items() if str(one.get("Type")).endswith("::MODULE"))


def _embedded(resources: Mapping[str, Json]) -> Iterator[str]:
    """The names of connectors within resources."""
    for name, one in resources.items():
        yield from (f"{name}{connector}" for connector in one.get("Connectors") or ())


def _chosen(value: Json) -> Iterator[str]:
    """The names that the template chooses for what the SAM translator makes, such as QueueLogicalId."""
    for key, entry in value.items() if isinstance(value, dict) else ():
        if str(key).endswith("LogicalId") and isinstance(entry, str):
            yield entry
        yield from _chosen(entry)
    for entry in value if isinstance(value, list) else ():
        yield from _chosen(entry)


def _known(content: Mapping[str, Json], parameters: Collection[str], plain: Mapping[str, Json]) -> dict[str, set[str]]:
    """The names that are there, by kind."""
    resources, conditions = (
        {str(name) for one in (content, plain) for name in one.get(section) or ()}
        for section in ("Resources", "Conditions")
    )
    resources |= {*_embedded(content["Resources"]), *_chosen(content["Resources"])}
    given = {*parameters, *PSEUDO_PARAMETERS}
    return {
        "value": given | resources,
        "parameter": given,
        "attribute": resources,
        "dependency": resources,
        "condition": conditions,
        "mapping": {str(name) for name in content.get("Mappings") or ()},
    }


def _told(reference: Reference) -> str:
    owner = f"{_OWNERS.get(reference.section, '')}{reference.owner}"
    held = f"{owner}'s {'.'.join(reference.path)}" if reference.path else owner
    kind = _KINDS[reference.kind]
    otherwise = "no pseudo parameter" if reference.name.startswith(_PSEUDO) else kind.otherwise
    return f"{held} {kind.verb} {reference.name}, which is {otherwise}"


def _meant(reference: Reference, names: Collection[str]) -> str:
    """The name that was meant, or those that there are."""
    pseudo = reference.name.startswith(_PSEUDO)
    known = sorted(name for name in names if name.startswith(_PSEUDO) == pseudo)
    if close := get_close_matches(reference.name, known, 1):
        return f"did you mean {close[0]}?"
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return f"there are {', '.join(known[:MOST_LISTED])}{more}" if known else "there is none"
