"""What changes of orders are worth telling."""

from __future__ import annotations

from shop.effects import Notification
from shop.orders import SETTLED, Order, OrderStatus, known_status, status_of
from tablestream.change import Change


def order_placed(change: Change) -> Notification:
    """Announce a new order, whatever its status."""
    return _announce("order.received", change)


def status_changed(change: Change) -> Notification:
    """Announce the new status of an order, with the one before.

    A status before that nobody knows is left out instead of refused: the change may be its repair.
    """
    order = change.image.parsed(Order.from_image)
    previous = None if change.old is None else known_status(change.old.get("status"))
    return _announce("order." + order.status, change, previous)


def order_removed(change: Change) -> Notification | None:
    """Announce that an order was removed, or that Time to Live did it; nobody needs to hear of a settled one."""
    if status_of(change.image) in SETTLED:
        return None
    return _announce("order.expired" if change.expired else "order.removed", change)


def _announce(kind: str, change: Change, previous: OrderStatus | None = None) -> Notification:
    return Notification.of(change, kind, change.image.parsed(Order.from_image), previous)
