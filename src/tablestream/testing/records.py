"""Records of a Lambda event, made from plain dicts, with every field that AWS sends."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tablestream.change import TTL_PRINCIPAL
from tablestream.sizes import record_bytes

Item = Mapping[str, Any]
Record = dict[str, Any]

TABLE = "orders"
CREATED = 1_763_640_000.0
"""When records are made unless told otherwise: 2025-11-20T12:00:00Z."""

_FIRST_SEQUENCE_NUMBER = 100_000_000_000_000_000_001


@dataclass(frozen=True, slots=True)
class Raw:
    """A value to be put into an image as it is, to plant what DynamoDB would never write: `Raw({"N": "NaN"})`."""

    value: Any


def tagged(value: object) -> Any:  # noqa: PLR0911 -- one return a type tag
    """Return a plain value with its type tag, as a Lambda event carries it (binary values as base64 text)."""
    if isinstance(value, Raw):
        return value.value
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float | Decimal):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": _base64(value)}
    if isinstance(value, Mapping):
        return {"M": image(value)}
    if isinstance(value, set | frozenset):
        return _set(value)
    if isinstance(value, Sequence):
        return {"L": [tagged(entry) for entry in value]}
    raise TypeError(f"no DynamoDB type for {type(value).__name__}")


def image(item: Item) -> dict[str, Any]:
    """Return a plain item as a raw image."""
    return {name: tagged(value) for name, value in item.items()}


def _set(values: set[Any] | frozenset[Any]) -> dict[str, list[str]]:
    if all(isinstance(value, str) for value in values):
        return {"SS": sorted(values)}
    if all(isinstance(value, bytes) for value in values):
        return {"BS": sorted(map(_base64, values))}
    return {"NS": sorted(map(str, values))}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def inserted(item: Item, **settings: Any) -> Record:
    """Return the record of a new item. `settings` are those of `record`."""
    return record("INSERT", item, new=item, **settings)


def modified(old: Item, new: Item, **settings: Any) -> Record:
    """Return the record of a modified item. `settings` are those of `record`."""
    return record("MODIFY", new, old=old, new=new, **settings)


def removed(item: Item, **settings: Any) -> Record:
    """Return the record of a removed item. `settings` are those of `record`."""
    return record("REMOVE", item, old=item, **settings)


def expired(item: Item, **settings: Any) -> Record:
    """Return the record of an item that Time to Live removed. `settings` are those of `record`."""
    return {**removed(item, **settings), "userIdentity": {"type": "Service", "principalId": TTL_PRINCIPAL}}


def record(  # noqa: PLR0913 -- each is a field of the record
    name: str,
    item: Item,
    *,
    old: Item | None = None,
    new: Item | None = None,
    keys: Sequence[str] = ("pk", "sk"),
    sequence_number: int | str | None = None,
    at: float = CREATED,
    table: str = TABLE,
    view: str = "NEW_AND_OLD_IMAGES",
) -> Record:
    """Return a record of a Lambda event, with every field that AWS sends.

    `keys` names the attributes of the primary key, `at` is ApproximateCreationDateTime in seconds since the epoch.
    Without a `sequence_number` the record gets the next one when it is put into an `event`.
    """
    images = {label: image(side) for label, side in (("NewImage", new), ("OldImage", old)) if side is not None}
    raw_keys = {key: tagged(item[key]) for key in keys if key in item}
    stream: dict[str, Any] = {
        "ApproximateCreationDateTime": at,
        "Keys": raw_keys,
        **images,
        "SequenceNumber": str(_FIRST_SEQUENCE_NUMBER if sequence_number is None else sequence_number),
        "SizeBytes": record_bytes(raw_keys, images.get("NewImage"), images.get("OldImage")),
        "StreamViewType": view,
    }
    made = {
        "eventID": "",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": stream,
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2025-01-01T00:00:00.000",
    }
    return _identified(made)


def _identified(made: Record) -> Record:
    """Give the record an event id that follows from its content."""
    content = json.dumps({**made, "eventID": ""}, sort_keys=True)
    return {**made, "eventID": hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}


def event(*records: Record) -> dict[str, list[Record]]:
    """Return a Lambda event of the records.

    Records without a sequence number of their own get consecutive ones. The same record object given twice stays the
    same record: a duplicate.
    """
    numbered: dict[int, Record] = {}
    for position, made in enumerate(records):
        numbered.setdefault(id(made), _numbered(made, position))
    return {"Records": [copy.deepcopy(numbered[id(made)]) for made in records]}


def _numbered(made: Record, position: int) -> Record:
    if made["dynamodb"]["SequenceNumber"] != str(_FIRST_SEQUENCE_NUMBER) or position == 0:
        return made
    stream = {**made["dynamodb"], "SequenceNumber": str(_FIRST_SEQUENCE_NUMBER + position)}
    return _identified({**made, "dynamodb": stream})
