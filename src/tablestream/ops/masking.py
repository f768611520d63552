"""Records with their values hidden: the structure stays, for that is what one looks for in a poison record. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN = {
    "awsRegion",
    "eventID",
    "eventName",
    "eventSource",
    "eventSourceARN",
    "eventVersion",
    "firstTime",
    "notify",
    "redriven",
    "replayed",
    "userIdentity",
}
_PLAIN_STREAM = {"ApproximateCreationDateTime", "SequenceNumber", "SizeBytes", "StreamViewType"}
_MAX_PLAIN = 200


def masked(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without the values of its item.

    Names of attributes and of the entries of maps stay where they look like names; a map that has personal data for
    names would show them.
    """
    return {
        name: _stream(value) if name == "dynamodb" else (_plain(value) if name in _PLAIN else hidden(value))
        for name, value in record.items()
    }


def _stream(stream: object) -> Any:
    if not isinstance(stream, dict):
        return hidden(stream)
    return {name: _plain(value) if name in _PLAIN_STREAM else _image(value) for name, value in stream.items()}


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {_name(name): _plain(entry) for name, entry in value.items()}
    return value if not isinstance(value, str | list) or len(value) <= _MAX_PLAIN else hidden(value)


def _image(image: object) -> Any:
    if not isinstance(image, dict):
        return hidden(image)
    return {_name(name): _tagged(value) for name, value in image.items()}


def _tagged(value: object) -> Any:
    """Hide a value that should have a type tag; what has none shows as what it is."""
    if not isinstance(value, dict) or len(value) != 1:
        return hidden(value)
    ((tag, content),) = value.items()
    if tag == "M":
        return {"M": _image(content)}
    if tag == "L" and isinstance(content, list):
        return {"L": [_tagged(entry) for entry in content]}
    if tag == "N" and isinstance(content, str):
        return {"N": "<a number>" if _NUMBER.fullmatch(content) else "<text that is no number>"}
    return {_name(tag): hidden(content)}


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else "<a name>"


def hidden(value: object) -> str:
    """Say what a value is, without it."""
    if isinstance(value, str):
        return f"<text, {len(value)} characters>"
    if isinstance(value, bool):
        return "<true or false>"
    if isinstance(value, int | float):
        return "<a number>"
    if isinstance(value, list):
        return f"<a list of {len(value)}>"
    if isinstance(value, dict):
        return f"<an object of {len(value)}>"
    return "<null>"
