"""The shop's handlers: each change of an order leads to effects. They are pure: they read a change, and return.

An order is read and checked whole before any effect of it: one that cannot be understood is poison. What happened to an
order, or to another item, is told in an announcement: only what a customer may see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shop.keys import ORDER_PREFIX
from shop.orders import SETTLED, Order, OrderKey, OrderStatus, known_status, status_of
from shop.stock import Release, Reserve
from tablestream.change import Change
from tablestream.dynamodb.items import item_bytes
from tablestream.errors import InvalidRecord
from tablestream.router import Router
from tablestream.sinks import Message, MessageTooLarge
from tablestream.sinks.messages import plain

router = Router(key_prefixes={"Order": ORDER_PREFIX})
"""The shop's routes. The sort key of an order begins so: such an item without an entity type is poison."""

Effects = list[Reserve | Release | Message]


@router.on_insert("Order")
def order_placed(change: Change) -> Effects:
    """Reserve the lines of a new order and announce it.

    Whoever writes an order with another status than pending has taken the stock in the same transaction.
    """
    order = Order.from_image(change.image)
    announcement = announce_order(change, "order.received", order)
    if order.status is not OrderStatus.PENDING:
        return [announcement]
    return [Reserve(OrderKey.of(change), order.lines, _item_bytes(change)), announcement]


@router.on_modify("Order", changed=("status",))
def status_changed(change: Change) -> Effects:
    """Announce the new status of an order, and release what a cancelled one holds.

    An order is decided once: one that becomes pending again would stay so, and is poison.
    """
    order = Order.from_image(change.image)
    # A word that nobody knows is left out instead of refused: the change may be its repair.
    before = known_status(change.old.raw)
    if order.status is OrderStatus.PENDING:
        raise InvalidRecord(
            f"status: wanted a new order to reserve for, got pending after {before or 'an unknown one'}"
        )
    announcement = announce_order(change, f"order.{order.status}", order, before)
    return [Release(OrderKey.of(change)), announcement] if order.status is OrderStatus.CANCELLED else [announcement]


@router.on_remove("Order")
def order_removed(change: Change) -> Effects:
    """Release what a removed order holds, and announce that a person or Time to Live removed it.

    A settled order holds nothing, and nobody needs to hear that it was tidied away.
    """
    if status_of(change.raw_image) in SETTLED:
        return []
    order = Order.from_image(change.image)
    announcement = announce_order(change, "order.expired" if change.expired else "order.removed", order)
    return [Release(OrderKey.of(change)), announcement]


MAX_RECORD_BYTES = 512 * 1024
"""More than a record of a new item can have: the item, of at most 400 KB, and its key once more."""


def _item_bytes(change: Change) -> int:
    """Return the size of a new item as the stream says it; where it does not, or nonsense, count."""
    size = change.record["dynamodb"].get("SizeBytes")
    return size if type(size) is int and 0 < size <= MAX_RECORD_BYTES else item_bytes(change.raw_image)


# --- announcements ---------------------------------------------------------------------------------------------------

# ASCII escapes keep hostile text, lone surrogates included, from breaking the message; one byte is one character.
_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


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
    if change.sent_again:
        told["late"] = True  # newer announcements may be out already
    attributes = {"type": kind, "entity": entity}
    if status is not None:
        attributes["status"] = str(status)
    return Message(_json(told), attributes, key=kind)
