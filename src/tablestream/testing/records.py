"""Records of a Lambda event, made from plain dicts, with every field that AWS sends."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from tablestream.change import TTL_PRINCIPAL
from tablestream.dynamodb.items import item_bytes, record_bytes
from tablestream.testing.values import Item, Raw, image, tagged

Record = dict[str, Any]

TABLE = "orders"
CREATED = 1_763_640_000.0
"""When records are made unless told otherwise: 2025-11-20T12:00:00Z."""

_KEY_BYTES = (2048, 1024)
"""The largest partition key and sort key."""
_FIRST_SEQUENCE_NUMBER = 100_000_000_000_000_000_001


class Settings(TypedDict, total=False):
    """The settings of a record, as `record` explains them."""

    keys: Sequence[str]
    sequence_number: int | str | None
    at: float
    table: str
    view: str


def inserted(item: Item, **settings: Unpack[Settings]) -> Record:
    """Return the record of a new item. `settings` are those of `record`."""
    return record("INSERT", item, new=item, **settings)


def modified(old: Item, new: Item, **settings: Unpack[Settings]) -> Record:
    """Return the record of a modified item. `settings` are those of `record`."""
    return record("MODIFY", new, old=old, new=new, **settings)


def removed(item: Item, **settings: Unpack[Settings]) -> Record:
    """Return the record of a removed item. `settings` are those of `record`."""
    return record("REMOVE", item, old=item, **settings)


def expired(item: Item, **settings: Unpack[Settings]) -> Record:
    """Return the record of an item that Time to Live removed. `settings` are those of `record`."""
    return {**removed(item, **settings), "userIdentity": {"type": "Service", "principalId": TTL_PRINCIPAL}}


def record(
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
    Without a `sequence_number` the record gets the next one when it is put into an `event`. Raises `TypeError` or
    `ValueError` for what DynamoDB does not take: see `values`.
    """
    images = {label: image(side) for label, side in (("NewImage", new), ("OldImage", old)) if side is not None}
    raw_keys = _keys(item, keys)
    if old is not None and new is not None and _keys(old, keys) != raw_keys:
        raise ValueError(
            f"wanted the same {' and '.join(keys)} before and after a change, which DynamoDB never modifies"
        )
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


def _keys(item: Item, names: Sequence[str]) -> dict[str, Any]:
    """Return the raw primary key of an item."""
    if not item.keys() >= set(names):
        raise ValueError(
            f"wanted the {'attribute' if len(names) == 1 else 'attributes'} {' and '.join(names)} in the item, "
            f"got {', '.join(map(str, item)) or 'nothing'}; say keys=(…) for a table with another primary key"
        )
    made = {name: tagged(item[name], name) for name in names}
    for (name, value), most in zip(made.items(), _KEY_BYTES, strict=False):
        size = item_bytes({"": value})
        if not isinstance(item[name], Raw) and not (value.keys() <= {"S", "N", "B"} and 0 < size <= most):
            wanted = f"text, a number or binary of 1 to {most} bytes in a key"
            raise ValueError(f"{name}: wanted {wanted}, got {', '.join(value)} of {size}")
    return made


def _identified(made: Record) -> Record:
    """Give the record an event id that follows from its content."""
    content = json.dumps({**made, "eventID": ""}, sort_keys=True)
    return {**made, "eventID": hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}


def event(*records: Record) -> dict[str, list[Record]]:
    """Return a Lambda event of the records.

    Records without a sequence number of their own get consecutive ones. The same record object given twice stays the
    same record: a duplicate. Raises `ValueError` or `TypeError` for what is no record.
    """
    for made in records:
        _check_record(made)
    numbered: dict[int, Record] = {}
    for position, made in enumerate(records):
        numbered.setdefault(id(made), _numbered(made, position))
    return {"Records": [copy.deepcopy(numbered[id(made)]) for made in records]}


def _check_record(made: Any) -> None:
    if not isinstance(made, dict):
        several = ": write *records" if isinstance(made, list | tuple) else ", as inserted({…}) makes them"
        raise TypeError(f"wanted records, got a {type(made).__name__}{several}")
    if "Records" in made:
        raise ValueError('wanted records, got a whole event: write *event["Records"]')
    if "dynamodb" not in made:
        names = ", ".join(map(str, made)) or "nothing"
        raise ValueError(f"wanted records, got an item or the like with {names}: make a record of it, inserted({{…}})")


def _numbered(made: Record, position: int) -> Record:
    if made["dynamodb"]["SequenceNumber"] != str(_FIRST_SEQUENCE_NUMBER) or position == 0:
        return made
    stream = {**made["dynamodb"], "SequenceNumber": str(_FIRST_SEQUENCE_NUMBER + position)}
    return _identified({**made, "dynamodb": stream})
