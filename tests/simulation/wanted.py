"""What each record of the stream has to lead to, told from the specification, not with the shop's code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Record = Mapping[str, Any]
Image = Mapping[str, Any]

_STATUSES = frozenset({"pending", "confirmed", "rejected", "shipped", "delivered", "cancelled"})
_ORDER = {"S": "Order"}
_SETTLED = frozenset({"shipped", "delivered", "rejected"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a record has to lead to."""

    record: Record
    event_id: str
    number: int
    order: tuple[str, str]
    poison: bool = False
    reserve: bool = False
    release: bool = False
    notification: str = ""


def wanted_of(records: Sequence[Record]) -> Iterator[Wanted]:
    """Say for each record that concerns an order what it has to lead to."""
    for record in records:
        stream = record["dynamodb"]
        key = (stream["Keys"]["pk"]["S"], stream["Keys"]["sk"]["S"])
        if not key[1].startswith("ORDER#"):
            continue
        base = (record, record["eventID"], int(stream["SequenceNumber"]), key)
        kind, image = change_of(record)
        if "entityType" not in image:
            yield Wanted(*base, poison=True)
        elif kind is None or (kind == "REMOVE" and image["status"]["S"] in _SETTLED):
            continue
        elif kind != "MODIFY" or stream["OldImage"]["status"] != image["status"]:
            yield _wanted(base, kind, image)


def change_of(record: Record) -> tuple[str | None, Image]:
    """Return what a record is for orders, None for what is no order's, and the image that tells of it.

    An item that was something else before is a new order; an order that becomes something else is removed.
    """
    stream, kind = record["dynamodb"], record["eventName"]
    new, old = stream.get("NewImage"), stream.get("OldImage")
    image = old if kind == "REMOVE" else new
    if kind == "MODIFY" and _ORDER in (old.get("entityType"), new.get("entityType")):
        if old.get("entityType") != _ORDER:
            return "INSERT", new
        if new.get("entityType") != _ORDER and "entityType" in new:
            return "REMOVE", old
    return (kind if image.get("entityType") == _ORDER else None), image


def _wanted(base: tuple[Record, str, int, tuple[str, str]], kind: str, image: Image) -> Wanted:
    status = image["status"]["S"]
    if not is_sound(image) or (kind == "MODIFY" and status == "pending"):
        return Wanted(*base, poison=True)
    if kind == "INSERT":
        return Wanted(*base, reserve=status == "pending", notification="order.received")
    if kind == "MODIFY":
        return Wanted(*base, release=status == "cancelled", notification=f"order.{status}")
    removed = "order.expired" if "userIdentity" in base[0] else "order.removed"
    return Wanted(*base, release=True, notification=removed)


def is_sound(image: Image) -> bool:
    lines = image.get("items", {}).get("L")
    if image["status"]["S"] not in _STATUSES or not lines:
        return False
    products = set()
    for line in lines:
        product, quantity = line["M"].get("productId"), line["M"].get("quantity", {}).get("N", "0")
        if product is None or Decimal(quantity) < 1 or Decimal(quantity) % 1:
            return False
        products.add(product["S"])
    return len(products) <= 98


def reserved_at_once(image: Image) -> bool:
    """Tell whether the HTTP API has taken an order's stock as it wrote it; other orders that begin so hold nothing."""
    return image["status"]["S"] == "confirmed" and "shippingAddress" in image
