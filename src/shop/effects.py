"""What the handlers want done. The sinks in `inventory` and `notifications` do it."""

from __future__ import annotations

from dataclasses import dataclass

from shop.orders import Order, OrderKey, OrderLine, OrderStatus


@dataclass(frozen=True, slots=True)
class Reserve:
    """Take the stock of a new order and confirm the order, or reject it."""

    order: OrderKey
    lines: tuple[OrderLine, ...]
    event_id: str
    order_bytes: int = 0
    """The size of the order's item as the stream gives it; a transaction holds 4 MB of items."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what is held for an order; hold nothing for it from now on."""

    order: OrderKey
    event_id: str


@dataclass(frozen=True, slots=True)
class Notification:
    """Announce a change of an order."""

    type: str
    """`order.received`, `order.removed`, `order.expired`, or `order.` and the new status."""
    order: Order
    event_id: str
    sequence_number: str
    previous_status: OrderStatus | None = None
    late: bool = False
    """Whether an operator sent the change again after it had been set aside: newer announcements may be out already."""
