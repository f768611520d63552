"""Announcements: messages that tell what happened to an order, or to another item. Only what a customer may see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shop.orders import Order, OrderStatus
from tablestream.change import Change
from tablestream.sinks import Message, MessageTooLarge
from tablestream.sinks.messages import plain

# ASCII escapes keep hostile text, lone surrogates included, from breaking the message; one byte is one character.
_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def announce(change: Change, kind: str, entity: str, said: Mapping[str, Any], status: str | None = None) -> Message:
    """Return the message that tells of a change of an item.

    `kind` is its type, as `lead.created`; `said` its fields: values as an `Image` gives them, told as in a `Message`.
    Subscribers can filter by type, entity and status. Raises `MessageTooLarge`, and `TypeError` for a value that no
    image holds.
    """
    return _message(change, kind, entity, status, {name: plain(value) for name, value in said.items()})


def announce_order(change: Change, kind: str, order: Order, before: OrderStatus | None = None) -> Message:
    """Return the message that tells of a change of an order; `before` is the status that it had.

    A message that would be too large goes without its lines and says so. Raises `MessageTooLarge` when that is not
    enough.
    """
    fields = {
        "orderId": order.order_id,
        "version": order.version,
        "status": order.status,
        "previousStatus": before,
        "total": plain(order.total),
        "reason": order.reason,
        "lines": [{"productId": product, "quantity": quantity} for product, quantity in order.lines],
    }
    try:
        return _message(change, kind, "Order", order.status, fields)
    except MessageTooLarge:
        del fields["lines"]
        return _message(change, kind, "Order", order.status, {**fields, "linesOmitted": True})


def _message(change: Change, kind: str, entity: str, status: str | None, fields: Mapping[str, Any]) -> Message:
    told = {"type": kind, "eventId": change.event_id, "sequenceNumber": change.sequence_number, **fields}
    if change.redriven or change.replayed:
        told["late"] = True  # newer announcements may be out already
    attributes = {"type": kind, "entity": entity}
    if status is not None:
        attributes["status"] = str(status)
    return Message(_json(told), attributes, key=kind)
