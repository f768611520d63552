"""The effects that handlers return: plain values, whole and checked. The sinks carry them out and read nothing more.

What cannot be made into one of these is found out by the handler, and its record is poison before anything happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from shop.orders import OrderKey, OrderLine
from tablestream.errors import InvalidRecord

MAX_BYTES = 262_144
"""What SNS takes in one call, a message or a batch: bodies and attributes together."""
_TYPE_BYTES = len("String")


class MessageTooLargeError(InvalidRecord):
    """A message is larger than SNS takes."""


@dataclass(frozen=True, slots=True)
class Message:
    """Publish a text with the attributes that subscribers filter by, each of them a String.

    Raises `MessageTooLargeError` for one that is larger than SNS takes.
    """

    body: str
    attributes: Mapping[str, str]
    key: str | None = None
    """What tells the message from others of the same record, however its text is worded; see `tablestream.Effect`."""

    def __post_init__(self) -> None:
        """Check the size."""
        if self.size > MAX_BYTES:
            raise MessageTooLargeError(f"wanted a message of at most {MAX_BYTES} bytes, got {self.size}")

    @property
    def size(self) -> int:
        """The bytes that count against SNS's limit: body, names, types and values of the attributes."""
        text = "".join([self.body, *self.attributes, *self.attributes.values()])
        size = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        return size + _TYPE_BYTES * len(self.attributes)


@dataclass(frozen=True, slots=True)
class Reserve:
    """Take the stock of a pending order and confirm the order, or reject it."""

    order: OrderKey
    lines: tuple[OrderLine, ...]
    """The units that are wanted, each product once."""
    order_bytes: int = 0
    """The size of the order's item as the stream gives it, 0 when it does not; a transaction holds 4 MB of items."""
    key: ClassVar[str] = "reserve"


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what is held for an order, which the ledger knows; hold nothing for it from now on."""

    order: OrderKey
    key: ClassVar[str] = "release"
