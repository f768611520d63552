"""`Order`: an order as the sinks see it, parsed and checked from an image of its item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from shop.keys import MAX_PK_BYTES, MAX_PRODUCT_ID_BYTES, MAX_SK_BYTES
from tablestream.change import Change, RawImage
from tablestream.errors import InvalidRecord, describe
from tablestream.image import Image, whole

MAX_QUANTITY = 1_000_000
"""Units of one line; more is a mistake of whoever wrote the order."""
MAX_PRODUCTS = 98
"""Distinct products of an order: a DynamoDB transaction has 100 actions, of which the ledger and the order take two."""
MAX_VERSION = 2**53 - 1
"""The largest whole number of which every reader of JSON makes the same: JavaScript rounds larger ones."""


class OrderStatus(StrEnum):
    """The states of an order, as its item names them."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


SETTLED = (OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.REJECTED)
"""Statuses of an order that holds no stock any more: its removal is housekeeping, nobody is told of it."""
BEFORE = {
    OrderStatus.SHIPPED: (OrderStatus.CONFIRMED,),
    OrderStatus.DELIVERED: (OrderStatus.SHIPPED,),
    OrderStatus.CANCELLED: (OrderStatus.PENDING, OrderStatus.CONFIRMED, OrderStatus.SHIPPED),
}
"""The statuses from which a customer or the warehouse may bring an order to another; the others are the worker's."""
_STATUSES = {status.value: status for status in OrderStatus}


class OrderKey(NamedTuple):
    """The identity of an order: the primary key of its item."""

    pk: str
    sk: str

    @classmethod
    def of(cls, change: Change) -> OrderKey:
        """Return the key of the changed order; raises `InvalidRecord` when it is not a key that DynamoDB can hold."""
        keys = change.keys
        return cls(_id(keys.get("pk"), "pk", MAX_PK_BYTES), _id(keys.get("sk"), "sk", MAX_SK_BYTES))

    def __str__(self) -> str:
        """Return both parts, with a space between."""
        return f"{self.pk} {self.sk}"


class OrderLine(NamedTuple):
    """So many units of a product. A tuple: several are made for each order, and a frozen dataclass takes longer."""

    product_id: str
    quantity: int


_line_of: Callable[[tuple[str, int]], OrderLine] = partial(tuple.__new__, OrderLine)
"""What `OrderLine(*pair)` does, in half the time: a named tuple's constructor is a function of Python."""


@dataclass(slots=True)  # not frozen: one is made for each change, and a frozen one takes five times as long
class Order:
    """An order whose lines can be reserved: each product once, every quantity a whole number of units."""

    order_id: str
    status: OrderStatus
    lines: tuple[OrderLine, ...]
    total: int | Decimal | None
    version: int | None
    reason: str | None
    """Why the order has its status, in words for the customer."""

    @classmethod
    def from_image(cls, image: Image) -> Order:
        """Parse an order; raises `InvalidRecord` with what came and what was wanted.

        All lines are checked for every kind of change: an order with lines that cannot be understood is poison,
        whatever happens to it, as the notification would tell the customer something wrong.
        """
        return cls(
            order_id=_id(image.get("orderId"), "orderId"),
            status=status_of(image.raw),
            lines=_lines(image),
            total=_total(image.get("total")),
            version=_version(image.get("version")),
            reason=_reason(image.get("statusReason")),
        )


def status_of(image: RawImage) -> OrderStatus:
    """Return the status in an order's raw image: handlers need nothing else of most changes.

    Raises `InvalidRecord` for one that nobody knows.
    """
    tagged: Any = image.get("status")
    try:
        if len(tagged) == 1:
            return _STATUSES[tagged["S"]]
    except (KeyError, TypeError):
        pass
    raise InvalidRecord(f"status: wanted one of {', '.join(_STATUSES)}, got {describe(Image(image).get('status'))}")


def known_status(image: RawImage) -> OrderStatus | None:
    """Return the status in an order's raw image, None for a word that nobody knows.

    Raises `InvalidRecord` for a malformed value.
    """
    try:
        return status_of(image)
    except InvalidRecord:
        Image(image).get("status")  # raises if it is more than a word that nobody knows
        return None


def _lines(image: Image) -> tuple[OrderLine, ...]:
    quantities: dict[str, int] = {}
    for position, (product, units) in enumerate(image.rows("items", productId=str, quantity=int)):
        if not (product.isascii() and 0 < len(product) <= MAX_PRODUCT_ID_BYTES):
            _id(product, f"items[{position}].productId", MAX_PRODUCT_ID_BYTES)
        if not 0 < units <= MAX_QUANTITY:
            wanted = f"wanted a whole number from 1 to {MAX_QUANTITY}"
            raise InvalidRecord(f"items[{position}].quantity: {wanted}, got {describe(units)}")
        quantities[product] = quantities.get(product, 0) + units
    if not quantities:
        raise InvalidRecord("items: wanted a list of at least one line, got an empty one")
    if len(quantities) > MAX_PRODUCTS:
        raise InvalidRecord(f"items: wanted at most {MAX_PRODUCTS} distinct products, got {len(quantities)}")
    return tuple(map(_line_of, quantities.items()))


def _id(value: object, what: str, max_bytes: int = 2048) -> str:
    if type(value) is not str or not value:
        raise InvalidRecord(f"{what}: wanted text that is not empty, got {describe(value)}")
    if value.isascii():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise InvalidRecord(f"{what}: wanted valid Unicode, got {describe(value)}") from None
    if size > max_bytes:
        raise InvalidRecord(f"{what}: wanted at most {max_bytes} bytes, got {size}")
    return value


def _total(value: object) -> int | Decimal | None:
    if value is None or type(value) is int or type(value) is Decimal:
        return value
    raise InvalidRecord(f"total: wanted a number or none, got {describe(value)}")


def _version(value: object) -> int | None:
    version = whole(value)
    if value is not None and (version is None or abs(version) > MAX_VERSION):
        raise InvalidRecord(f"version: wanted a whole number of at most {MAX_VERSION} or none, got {describe(value)}")
    return version


def _reason(value: object) -> str | None:
    if value is None or type(value) is str:
        return value
    raise InvalidRecord(f"statusReason: wanted text or none, got {describe(value)}")
