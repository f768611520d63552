"""The shop's handlers: each change of an order leads to effects. They are pure: they read a change, and return.

An order is read and checked whole before any effect of it: one that cannot be understood is poison.
"""

from __future__ import annotations

from shop.announcements import announce_order
from shop.keys import ORDER_PREFIX
from shop.orders import SETTLED, Order, OrderKey, OrderStatus, known_status, status_of
from shop.stock import Release, Reserve
from tablestream.change import Change
from tablestream.dynamodb.items import item_bytes
from tablestream.errors import InvalidRecord
from tablestream.router import Router
from tablestream.sinks import Message

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
