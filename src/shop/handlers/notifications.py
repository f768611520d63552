"""What changes of orders are worth telling."""

from __future__ import annotations

from shop.effects import Notification
from shop.orders import SETTLED, known_status, status_of
from tablestream.change import Change


def order_placed(change: Change) -> Notification:
    """Announce a new order, whatever its status."""
    return Notification("order.received", change)


def status_changed(change: Change) -> Notification:
    """Announce the new status of an order."""
    # The message tells the status before as well: a malformed one is refused here, before any effect.
    known_status(change.record["dynamodb"]["OldImage"])
    return Notification("order." + status_of(change.raw_image), change)


def order_removed(change: Change) -> Notification | None:
    """Announce that an order was removed, or that Time to Live did it; nobody needs to hear of a settled one."""
    if status_of(change.raw_image) in SETTLED:
        return None
    return Notification("order.expired" if change.expired else "order.removed", change)
