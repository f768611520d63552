"""What changes of orders mean for the stock."""

from __future__ import annotations

from shop.effects import Release, Reserve
from shop.orders import SETTLED, OrderStatus, known_status, status_of
from tablestream.change import Change
from tablestream.errors import InvalidRecord


def order_placed(change: Change) -> Reserve | None:
    """Reserve the lines of a pending order; whoever writes an order with another status has taken the stock himself."""
    return Reserve(change) if status_of(change.raw_image) is OrderStatus.PENDING else None


def status_changed(change: Change) -> Release | None:
    """Release what a cancelled order holds.

    An order is decided once, so one that becomes pending again would stay so: raises `InvalidRecord` for it.
    """
    status = status_of(change.raw_image)
    if status is OrderStatus.PENDING:
        before = known_status(change.record["dynamodb"]["OldImage"])
        raise InvalidRecord(
            f"status: wanted a new order to reserve for, got pending after {before or 'an unknown one'}"
        )
    return Release(change) if status is OrderStatus.CANCELLED else None


def order_removed(change: Change) -> Release | None:
    """Release what an order held that was removed, by a person or by Time to Live, before it was shipped."""
    return None if status_of(change.raw_image) in SETTLED else Release(change)
