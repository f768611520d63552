"""What changes of orders mean for the stock."""

from __future__ import annotations

from shop.effects import Release, Reserve
from shop.orders import SETTLED, Order, OrderKey, OrderStatus, status_of
from tablestream.change import Change


def order_placed(change: Change) -> Reserve | None:
    """Reserve the lines of a pending order; whoever writes an order with another status has taken the stock himself."""
    order = change.image.parsed(Order.from_image)
    if order.status is not OrderStatus.PENDING:
        return None
    return Reserve(OrderKey.of(change), order.lines, change.event_id, _item_bytes(change))


def status_changed(change: Change) -> Release | None:
    """Release what a cancelled order holds. The ledger knows what that is, so nothing else of the image is read."""
    if status_of(change.image) is not OrderStatus.CANCELLED:
        return None
    return Release(OrderKey.of(change), change.event_id)


def order_removed(change: Change) -> Release | None:
    """Release what an order held that was removed, by a person or by Time to Live, before it was shipped."""
    if status_of(change.image) in SETTLED:
        return None
    return Release(OrderKey.of(change), change.event_id)


def _item_bytes(change: Change) -> int:
    size = change.record["dynamodb"].get("SizeBytes")
    return size if type(size) is int and size > 0 else 0
