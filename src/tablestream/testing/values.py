"""Plain values with DynamoDB's type tags: what DynamoDB takes from boto3, and nothing else.

An item that DynamoDB would refuse proves nothing in a test: it is refused here too, by an error that names the
attribute, `items[0].price: wanted …, got …`. Values come out as a Lambda event has them: numbers without zeros at the
end, binary values as base64 text.

The rules are those of the developer guide ("Supported data types and naming rules", "Quotas") and of boto3's
TypeSerializer; `tests/unit/tablestream/testing/test_values.py` holds them against DynamoDB Local.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import Binary, TypeSerializer

from tablestream.dynamodb.items import MAX_ITEM_BYTES, item_bytes
from tablestream.dynamodb.requests.values import Tagging, no_type, tag, tag_item

Item = Mapping[str, Any]
"""An item as boto3's table resource takes it."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A value to be put into an image as it is, to plant what DynamoDB would never write: `Raw({"N": "NaN"})`."""

    value: Any


def image(item: Item) -> dict[str, Any]:
    """Return a plain item as a raw image; raises `TypeError` or `ValueError` for one that DynamoDB does not take.

    An item with a `Raw` attribute may have any size.
    """
    made = tag_item(item, _AS_IN_EVENTS)
    size = item_bytes(made)
    if size > MAX_ITEM_BYTES and not any(isinstance(value, Raw) for value in item.values()):
        raise ValueError(f"the item: wanted at most {MAX_ITEM_BYTES} bytes, got {size}")
    return made


def tagged(value: object, path: str = "the value") -> Any:
    """Return a plain value with its type tag, as a Lambda event carries it; `path` is what an error calls it."""
    return tag(value, _AS_IN_EVENTS, path)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _of_other_type(value: object) -> Any:
    """Return what boto3 takes besides, and what is planted."""
    if isinstance(value, Raw):
        return value.value
    if isinstance(value, Binary):
        return {"B": _base64(_serializer.serialize(value)["B"])}
    raise no_type(value)


_serializer = TypeSerializer()
_AS_IN_EVENTS = Tagging(binary=_base64, other=_of_other_type)
