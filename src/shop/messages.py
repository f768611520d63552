"""The message that a notification becomes. Only what a customer may see is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shop.effects import Notification

MAX_BYTES = 262_144
"""What SNS takes in one call, a message or a batch: bodies and attributes together."""

_ENTITY = "Order"
# ASCII escapes keep hostile text, lone surrogates included, from breaking the message; one byte is one character.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class MessageTooLargeError(ValueError):
    """Even without its lines a message is larger than SNS takes."""


@dataclass(frozen=True, slots=True)
class Message:
    """A body, and the attributes that subscribers filter by."""

    body: str
    attributes: Mapping[str, str]
    size: int
    """Bytes that count against SNS's limit."""


def compose(notification: Notification) -> Message:
    """Return the message of a notification.

    A message that would be too large goes without its lines and says so. Raises `MessageTooLargeError` when that is not
    enough.
    """
    order = notification.order
    attributes = {"type": notification.type, "entity": _ENTITY, "status": order.status.value}
    around = sum([len(name) + len("String") + len(value) for name, value in attributes.items()])
    fields = _fields(notification)
    body = _encode(fields)
    if len(body) + around > MAX_BYTES:
        del fields["lines"]
        body = _encode(fields | {"linesOmitted": True})
    if len(body) + around > MAX_BYTES:
        raise MessageTooLargeError(f"wanted a message of at most {MAX_BYTES} bytes, got {len(body) + around}")
    return Message(body, attributes, len(body) + around)


def _fields(notification: Notification) -> dict[str, Any]:
    order, previous = notification.order, notification.previous_status
    fields: dict[str, Any] = {
        "type": notification.type,
        "eventId": notification.event_id,
        "sequenceNumber": notification.sequence_number,
        "orderId": order.order_id,
        "version": order.version,
        "status": order.status.value,
        "previousStatus": None if previous is None else previous.value,
        "total": _exact(order.total),
        "lines": [{"productId": product, "quantity": quantity} for product, quantity in order.lines],
        "reason": order.reason,
    }
    if notification.late:
        fields["late"] = True
    return fields


def _exact(total: int | Decimal | None) -> str | None:
    """Write an amount as text, without exponent: a JSON reader may make a binary fraction of a number."""
    return format(total, "f") if isinstance(total, Decimal) else None if total is None else str(total)
