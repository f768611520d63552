"""`Message`: a text with attributes, for a topic or a queue; made whole by the handler."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tablestream.errors import InvalidRecord

MAX_MESSAGE_BYTES = 262_144
"""The size that SNS and SQS take in one call, a message or a batch: bodies and attributes together."""
_TYPE_BYTES = len("String")


class MessageTooLarge(InvalidRecord):
    """A message is larger than the service takes: its record is poison."""


@dataclass(frozen=True, slots=True)
class Message:
    """Publish a text, or fields as JSON, with attributes that subscribers filter by, each of them a String.

    Fields are told as `plain` describes. Raises `MessageTooLarge`, and `TypeError` for a value that no item holds: in a
    handler either makes its record poison, before anything has happened.
    """

    body: str | Mapping[str, Any]
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    """The name that tells the message from others of the same record, however it is worded; see `Effect`."""
    text: str = field(init=False, compare=False, repr=False)
    """The body as it is sent."""
    size: int = field(init=False, compare=False, repr=False)
    """The bytes that count against the limit: body, names, types and values of the attributes."""

    def __post_init__(self) -> None:
        """Compose the text and check the size."""
        text = self.body if isinstance(self.body, str) else as_json(self.body)
        attributes = "".join([*self.attributes, *self.attributes.values()])
        size = _bytes(text) + _bytes(attributes) + _TYPE_BYTES * len(self.attributes)
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"wanted a message of at most {MAX_MESSAGE_BYTES} bytes, got {size}")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "size", size)

    def __str__(self) -> str:
        """Return the text, as a dry run shows it."""
        return self.text


def as_json(value: object) -> str:
    """Return a value of an item, or a structure of such values, as JSON text.

    ASCII only: escapes keep hostile text, lone surrogates included, from breaking the message.
    """
    return _encode(plain(value))


_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def plain(value: object) -> Any:
    """Return the JSON form of a value of an item: one form for each type of DynamoDB, whatever the value.

    Text, true, false and null are themselves. A number is exact decimal text without exponent: of a bare number a
    reader of JSON may make a binary fraction, and JavaScript rounds whole numbers from 2^53 on. Bytes are base64 text,
    a set is a sorted list; a list and a map are made of these. Raises `TypeError` for what no item holds.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list | tuple | AbstractSet):
        return [plain(member) for member in (sorted(value) if isinstance(value, AbstractSet) else value)]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: plain(member) for name, member in value.items()}
    raise TypeError(f"a message cannot carry a {type(value).__name__}")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
