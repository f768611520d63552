"""The JSON form of DynamoDB's types: one for each, whatever the value.

Every number is exact decimal text without exponent: a bare number a reader of JSON may make a binary fraction, and
JavaScript rounds whole numbers from 2^53 on. Only a field that is defined as a whole number below that, as an order's
`quantity` and `version`, is a JSON number.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any


def as_json(value: object) -> Any:
    """Return what JSON has for a value of an `Image`; raises `TypeError` for what no image holds.

    Text, true, false and null are themselves, a number exact decimal text, bytes base64 text, a set a sorted list; a
    list and a map are made of these.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list | frozenset):
        return [as_json(member) for member in (sorted(value) if isinstance(value, frozenset) else value)]
    if isinstance(value, dict):
        return {name: as_json(member) for name, member in value.items()}
    raise TypeError(f"a message cannot carry a {type(value).__name__}")
