"""Items of a table as records of its stream, as if they had just been inserted. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tablestream.change import RawRecord
from tablestream.sizes import record_bytes

Item = Mapping[str, Any]
"""An item in DynamoDB JSON; binary values as bytes, as boto3 gives them, or as base64 text, as exports have them."""

_DIGITS = 18
_WIDTH = 40
"""A sequence number has 21 to 40 digits (DynamoDB Streams API reference)."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes records. They follow from the run's name and the item's key: whoever goes on after a crash makes the same.

    The sequence numbers are below all that a stream gives, since the item may have changed again before its record is
    processed: next to real changes of the item the replayed one is the oldest.
    """

    table_arn: str
    keys: tuple[str, ...]
    """The attributes of the primary key."""
    run: str
    at: float
    """When the run began, in seconds since the epoch."""
    notify: bool

    def record(self, item: Item) -> RawRecord:
        """Return the record of one item."""
        image = as_json(item)
        keys = {name: image[name] for name in self.keys}
        digest = hashlib.sha256(json.dumps([self.run, self.table_arn, keys], sort_keys=True).encode()).hexdigest()
        return {
            "eventID": f"replay-{digest[:32]}",
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self.table_arn.split(":")[3],
            "dynamodb": {
                "ApproximateCreationDateTime": self.at,
                "Keys": keys,
                "NewImage": image,
                "SequenceNumber": f"{int(digest, 16) % 10**_DIGITS:0{_WIDTH}d}",
                "SizeBytes": record_bytes(keys, image, None),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": f"{self.table_arn}/stream/replay",
            "replayed": True,
            **({"notify": True} if self.notify else {}),
        }


def as_json(item: Item) -> dict[str, Any]:
    """Return an item with binary values as base64 text, as a Lambda event carries them."""
    return {name: _text(value) for name, value in item.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {name: _text(entry) for name, entry in value.items()}
    return [_text(entry) for entry in value] if isinstance(value, list) else value


def as_key(key: Item) -> dict[str, Any]:
    """Return a primary key out of JSON as boto3 takes it: a binary value as bytes."""
    return {
        name: {tag: base64.b64decode(value) if tag == "B" else value for tag, value in tagged.items()}
        for name, tagged in key.items()
    }


def entity_of(item: Item) -> str | None:
    """Return an item's entity type."""
    tagged = item.get("entityType")
    entity = tagged.get("S") if isinstance(tagged, dict) else None
    return entity if isinstance(entity, str) else None
