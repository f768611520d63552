"""The message that a notification becomes. Only what a customer may see is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from shop.effects import Notification, OrderFacts, Subject
from tablestream.sink import PermanentFailure

MAX_BYTES = 262_144
"""What SNS takes in one call, a message or a batch: bodies and attributes together."""


# ASCII escapes keep hostile text, lone surrogates included, from breaking the message; one byte is one character.
_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def _encode(fields: Mapping[str, Any]) -> str:
    try:
        return _json(fields)
    except TypeError as error:  # a name that JSON cannot hold
        raise PermanentFailure(str(error)) from error


class MessageTooLargeError(PermanentFailure):
    """Even without its lines a message is larger than SNS takes."""


class Message(NamedTuple):
    """A body, and the attributes that subscribers filter by."""

    body: str
    attributes: Mapping[str, str]
    size: int
    """Bytes that count against SNS's limit."""


def compose(notification: Notification) -> Message:
    """Return the message of a notification.

    A message that would be too large goes without its lines and says so. Raises `MessageTooLargeError` when that is not
    enough, `PermanentFailure` for what JSON cannot hold, `InvalidRecord` for an order that cannot be understood.
    """
    subject = OrderFacts(notification.change) if notification.subject is None else notification.subject
    attributes = {"type": notification.type, "entity": subject.entity}
    if subject.status is not None:
        attributes["status"] = str(subject.status)
    around = sum([len(name) + len("String") + len(value) for name, value in attributes.items()])
    fields = _fields(notification, subject)
    body = _encode(fields)
    if len(body) + around > MAX_BYTES:
        body = _encode({name: value for name, value in fields.items() if name != "lines"} | {"linesOmitted": True})
    if len(body) + around > MAX_BYTES:
        raise MessageTooLargeError(f"wanted a message of at most {MAX_BYTES} bytes, got {len(body) + around}")
    return Message(body, attributes, len(body) + around)


def _fields(notification: Notification, subject: Subject) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": notification.type,
        "eventId": notification.change.event_id,
        "sequenceNumber": notification.change.sequence_number,
        **subject.fields(),
    }
    late = notification.change.redriven or notification.change.replayed
    if late:
        fields["late"] = True  # newer announcements may be out already
    return fields
