"""What the handlers want done. The sinks in `inventory` and `notifications` do it.

An effect refers to its change; the sink reads from that what it needs, and finds out whether it can be understood. So
handlers convert nothing, and of an announcement that the journal knows nothing is read. Effects are neither frozen nor
with slots: one or two are made for each change, and both together take three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from shop.orders import Order, OrderKey, OrderLine, known_status
from shop.values import as_json
from tablestream.change import Change, Kind
from tablestream.sink import PermanentFailure


@dataclass
class Reserve:
    """Take the stock of a new order and confirm the order, or reject it."""

    change: Change

    def request(self) -> Request:
        """Read what the order wants; raises `InvalidRecord` for an order that cannot be understood."""
        change = self.change
        order = change.image.parsed(Order.from_image)
        return Request(OrderKey.of(change), change.event_id, order.lines, _item_bytes(change))


@dataclass
class Release:
    """Give back what is held for an order; hold nothing for it from now on."""

    change: Change

    def request(self) -> Request:
        """Read which order it is; the ledger knows what is held. Raises as `Reserve.request`.

        The whole order is checked: the notification, which comes later, could not be made of one that is malformed, and
        a record that is set aside has had no effect.
        """
        self.change.image.parsed(Order.from_image)
        return Request(OrderKey.of(self.change), self.change.event_id)


class Request(NamedTuple):
    """What an effect asks for an order, read from its change and checked."""

    order: OrderKey
    event_id: str
    lines: tuple[OrderLine, ...] = ()
    """What is to be reserved."""
    order_bytes: int = 0
    """The size of the order's item as the stream gives it; a transaction holds 4 MB of items."""


def _item_bytes(change: Change) -> int:
    size = change.record["dynamodb"].get("SizeBytes")
    return size if type(size) is int and size > 0 else 0


class Subject(Protocol):
    """What a notification can be about: `Facts`, or an order."""

    @property
    def entity(self) -> str:
        """The entity type, which subscribers can filter by."""
        ...

    @property
    def status(self) -> str | None:
        """Where it stands, which subscribers can filter by; None for what has no status."""
        ...

    def fields(self) -> dict[str, Any]:
        """Return what the message says of it; raises `InvalidRecord` for an item that cannot be understood."""
        ...


class OrderFacts(NamedTuple):
    """What an order says of itself, as a change left it."""

    change: Change

    @property
    def entity(self) -> str:
        """The entity type of an order."""
        return "Order"

    @property
    def status(self) -> str:
        """Where the order stands."""
        return self._order.status

    def fields(self) -> dict[str, Any]:
        """Return what the message says.

        A word for the status before that nobody knows is left out instead of refused: the change may be its repair.
        """
        before = self.change.old if self.change.kind is Kind.MODIFY else None
        return {**self._order.fields(), "previousStatus": None if before is None else known_status(before.raw)}

    @property
    def _order(self) -> Order:
        return self.change.image.parsed(Order.from_image)


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to say of an entity that needs no class of its own."""

    entity: str
    said: Mapping[str, Any]
    """The fields of the message: values as an `Image` gives them, which are said as `shop.values` describes."""
    status: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return what the message says; raises `PermanentFailure` for what no image holds."""
        try:
            return {name: as_json(value) for name, value in self.said.items()}
        except TypeError as error:
            raise PermanentFailure(str(error)) from error


@dataclass
class Notification:
    """Announce a change."""

    type: str
    """For an order `order.received`, `order.removed`, `order.expired`, or `order.` and the new status."""
    change: Change
    subject: Subject | None = None
    """What there is to say; None for what the changed order says of itself."""
