"""Lines of a template at which its event source mappings are written, for messages about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        if kind is not None and kind.value == _MAPPING:
            yield key.value, key.start_mark.line + 1
        for event, _ in _members(_member(_member(resource, "Properties"), "Events")):
            yield f"{key.value}{event.value}", event.start_mark.line + 1


def _members(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _member(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _members(node) if key.value == name), None)
