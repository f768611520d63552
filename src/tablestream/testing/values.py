"""Plain values with DynamoDB's type tags: what DynamoDB takes from boto3, and nothing else.

An item that DynamoDB would refuse proves nothing in a test: it is refused here too, by an error that names the
attribute, `items[0].price: wanted …, got …`. Values come out as a Lambda event has them: numbers without zeros at the
end, binary values as base64 text.

The rules are those of the developer guide ("Supported data types and naming rules", "Quotas") and of boto3's
TypeSerializer; `tests/unit/tablestream/testing/test_values.py` holds them against DynamoDB Local.
"""

from __future__ import annotations

import base64
import decimal
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeSerializer

from tablestream.dynamodb.items import item_bytes
from tablestream.image import MAX_DEPTH, MAX_DIGITS

Item = Mapping[str, Any]
"""An item as boto3's table resource takes it."""

MAX_ITEM_BYTES = 400 * 1024

_serializer = TypeSerializer()
_number = decimal.Context(
    prec=MAX_DIGITS,
    Emin=-130,
    Emax=125,
    traps=[decimal.Inexact, decimal.Overflow, decimal.Subnormal, decimal.InvalidOperation],
)


@dataclass(frozen=True, slots=True)
class Raw:
    """A value to be put into an image as it is, to plant what DynamoDB would never write: `Raw({"N": "NaN"})`."""

    value: Any


def image(item: Item) -> dict[str, Any]:
    """Return a plain item as a raw image; raises `TypeError` or `ValueError` for one that DynamoDB does not take.

    An item with a `Raw` attribute may have any size.
    """
    made = _members(item, "", 1)
    size = item_bytes(made)
    if size > MAX_ITEM_BYTES and not any(isinstance(value, Raw) for value in item.values()):
        raise ValueError(f"the item: wanted at most {MAX_ITEM_BYTES} bytes, got {size}")
    return made


def tagged(value: object, path: str = "the value") -> Any:
    """Return a plain value with its type tag, as a Lambda event carries it; `path` is what an error calls it."""
    return _tagged(value, path, 1)


def _tagged(value: object, path: str, depth: int) -> Any:
    """Return a value with its tag; `depth` counts from 1 for an attribute of the item."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{path}: wanted at most {MAX_DEPTH} levels of nesting, got more")
    match value:
        case Raw():
            return value.value
        case Mapping():
            return {"M": _members(value, f"{path}.", depth + 1)}
        case list() | tuple():
            return {"L": [_tagged(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(value)]}
        case AbstractSet():
            return _set(value, path)
        case None | bool():
            return {"NULL": True} if value is None else {"BOOL": value}
        case _:
            return dict([_scalar(value, path)])


def _members(item: Mapping[Any, Any], prefix: str, depth: int) -> dict[str, Any]:
    for name in item:
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"{prefix}{name}: wanted text that is not empty as a name, got {type(name).__name__} {name!r}"
            )
    return {name: _tagged(value, prefix + name, depth) for name, value in item.items()}


def _set(values: Iterable[Any], path: str) -> dict[str, list[str]]:
    members = sorted(_scalar(value, f"a member of {path}") for value in values)
    tags = sorted({tag for tag, _ in members})
    if len(tags) != 1:
        kinds = " and ".join(tags) or "none"
        raise TypeError(f"{path}: wanted a set of text, of numbers or of binary, not empty, got {kinds}")
    return {f"{tags[0]}S": [content for _, content in members]}


def _scalar(value: object, path: str) -> tuple[str, str]:
    """Return the tag and the content of what a set can hold too."""
    if isinstance(value, str):
        return "S", str.__str__(value)  # the text of a member of a StrEnum
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return "N", _number_text(value, path)
    if isinstance(value, bytes | bytearray | Binary):
        return "B", base64.b64encode(_serializer.serialize(value)["B"]).decode("ascii")
    if isinstance(value, float):
        raise TypeError(f"{path}: wanted a Decimal or an int, got the float {value!r}, which boto3 refuses")
    raise TypeError(f"{path}: wanted a value that DynamoDB has a type for, got {type(value).__name__}")


def _number_text(value: Decimal | int, path: str) -> str:
    """Return a number in the digits that DynamoDB writes: no exponent, no zeros at the end, no minus before a zero."""
    whole = Decimal(value)
    if not whole.is_finite():
        raise ValueError(f"{path}: wanted a finite number, got {value}")
    try:
        return format(_number.normalize(whole), "f") if whole else "0"
    except (decimal.Inexact, decimal.Overflow, decimal.Subnormal):
        wanted = f"{MAX_DIGITS} digits at most and a magnitude from 1E-130 to 9.99E+125"
        raise ValueError(f"{path}: wanted a number of {wanted}, got {value}") from None
