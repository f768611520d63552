"""What the handlers want done. The sinks in `inventory` and `notifications` do it.

Effects are not frozen: one or two are made for each change, and a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shop.orders import OrderKey, OrderLine
from tablestream.change import Change


@dataclass(slots=True)
class Reserve:
    """Take the stock of a new order and confirm the order, or reject it."""

    order: OrderKey
    lines: tuple[OrderLine, ...]
    event_id: str
    order_bytes: int = 0
    """The size of the order's item as the stream gives it; a transaction holds 4 MB of items."""


@dataclass(slots=True)
class Release:
    """Give back what is held for an order; hold nothing for it from now on."""

    order: OrderKey
    event_id: str


class Subject(Protocol):
    """What a notification can be about: an `Order`, or `Facts` about anything else."""

    @property
    def entity(self) -> str:
        """The entity type, which subscribers can filter by."""
        ...

    @property
    def status(self) -> str | None:
        """Where it stands, which subscribers can filter by; None for what has no status."""
        ...

    def fields(self) -> dict[str, Any]:
        """Return what the message says of it."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to say of an entity that needs no class of its own."""

    entity: str
    said: Mapping[str, Any]
    """The fields of the message; values as an `Image` gives them will do."""
    status: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return what the message says."""
        return dict(self.said)


@dataclass(slots=True)
class Notification:
    """Announce a change."""

    type: str
    """For an order `order.received`, `order.removed`, `order.expired`, or `order.` and the new status."""
    subject: Subject
    event_id: str
    sequence_number: str
    previous_status: str | None = None
    late: bool = False
    """Whether an operator sent the change again after it had been set aside: newer announcements may be out already."""

    @classmethod
    def of(cls, change: Change, type: str, subject: Subject, previous_status: str | None = None) -> Notification:  # noqa: A002 -- the word that subscribers see
        """Announce a change of a subject."""
        late = change.redriven or change.replayed
        return cls(type, subject, change.event_id, change.sequence_number, previous_status, late)
