"""The table's stream: records with both images, sequence numbers, shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from tablestream.dynamodb.items import record_bytes

Record = dict[str, Any]

TABLE = "orders"
STREAM_ARN = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{TABLE}/stream/2026-01-01T00:00:00.000"
_TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class Stream:
    """Collects the changes of the table; `arrived` is told of each with its shard."""

    def __init__(
        self, shards: int, first_number: int, now: Callable[[], float], arrived: Callable[[int, Record], None]
    ) -> None:
        self._shards = shards
        self._next = first_number
        self._now = now
        self._arrived = arrived
        self.records: list[Record] = []
        self.expiring = False
        """Whether it is Time to Live that removes."""

    def __call__(self, keys: Mapping[str, Any], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """Take a change."""
        number = self._next
        self._next += 1
        kind = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        images = {label: image for label, image in (("NewImage", new), ("OldImage", old)) if image is not None}
        record: Record = {
            "eventID": f"{number:032x}",
            "eventName": kind,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-central-1",
            "dynamodb": {
                "ApproximateCreationDateTime": float(int(self._now())),
                "Keys": dict(keys),
                **images,
                "SequenceNumber": str(number),
                "SizeBytes": record_bytes(keys, new, old),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": STREAM_ARN,
        }
        if self.expiring:
            record["userIdentity"] = _TTL
        self.records.append(record)
        self._arrived(crc32(keys["pk"]["S"].encode()) % self._shards, record)
