"""An item as plain JSON, written to a table of a running stack: by a command in another terminal, or by the page.

    {"id": "1", "litres": 1.5, "tags": ["a"]}

It may also be in DynamoDB's own JSON, in which every value is within its type, as {"id": {"S": "1"}}: that has binary
values and sets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError, ParamValidationError

from tablestream.local.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tablestream.local.cloud.clients import Client

Json = Any

_TYPES = {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}
LONGEST_TOLD = 100  # characters of what came


def put(dynamodb: Client, table: str, text: str) -> str:
    """Put the item into the table of a boto3 client; returns a sentence that says so.

    Raises UsageError for what is no item, and with the words of DynamoDB where that refuses it.
    """
    item = item_of(text)
    try:
        dynamodb.put_item(TableName=table, Item=item)
    except (ClientError, ParamValidationError) as error:
        raise UsageError(f"{table} takes no such item: {_words(error, dynamodb)}") from error
    return f"put an item into {table}: {_short(text.strip())}"


def item_of(text: str) -> dict[str, Json]:
    """The item of a text in DynamoDB's JSON, as boto3's client takes it. Raises UsageError."""
    try:
        plain = json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        raise UsageError(f'got {_short(text)}: wanted an item as JSON, such as {{"id": "1"}} ({error})') from error
    if not isinstance(plain, dict):
        raise UsageError(f'got {_short(text)}: wanted an object, such as {{"id": "1"}}')
    try:
        if plain and all(map(_is_typed, plain.values())):
            return {name: _binary(value) for name, value in plain.items()}
        return {name: TypeSerializer().serialize(value) for name, value in plain.items()}
    except ArithmeticError as error:
        raise UsageError(f"got {_short(text)}: a number has more than 38 digits, or is out of range") from error
    except (TypeError, RecursionError, AttributeError) as error:
        raise UsageError(f"got {_short(text)}: {error}") from error


def plain_text(item: Mapping[str, Mapping[str, Json]]) -> str:
    """A key in DynamoDB's JSON as the text that `item_of` takes: plain, where no value is binary."""
    if any("B" in value for value in item.values()):
        return json.dumps(item)
    plain = {name: value["S"] if "S" in value else _number(value["N"]) for name, value in item.items()}
    return json.dumps(plain)


def _is_typed(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and set(value) <= _TYPES


def _binary(value: Json) -> Json:
    """The value with bytes for the base64 of its binary values, and text for numbers that came without quotes."""
    ((kind, inner),) = value.items()
    convert: Mapping[str, Callable[[Json], Json]] = {
        "B": _bytes,
        "BS": lambda many: [_bytes(one) for one in many],
        "L": lambda many: [_binary(one) for one in many],
        "M": lambda named: {name: _binary(one) for name, one in named.items()},
        "N": str,
        "NS": lambda many: [str(one) for one in many],
    }
    return {kind: convert.get(kind, lambda same: same)(inner)}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UsageError(f"the binary value {_short(str(text))} is no base64") from error


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _words(error: ClientError | ParamValidationError, dynamodb: Client) -> str:
    if not isinstance(error, ClientError):
        return " ".join(str(error).split())
    if error.response["Error"].get("Code") == "ResourceNotFoundException":
        return f"there is no such table, but {', '.join(dynamodb.list_tables()['TableNames']) or 'none'}"
    return str(error.response["Error"].get("Message", error))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"
