"""Make the embedded AWS's stream records what AWS would have written.

moto writes a record for a write that changes nothing, two INSERTs for an UpdateItem that creates an item, shows records
of transactions it has cancelled, and removes nothing by TTL. (A stream of DynamoDB Local passes through unchanged.)
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tablestream.local.source import PAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tablestream.local.actions import Record
    from tablestream.local.source import Page, Position, Shard, StreamSource

TTL_IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class Corrections:
    """Corrects one page of records at a time. `mark_expired` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expiring: set[str] = set()

    def mark_expired(self, keys: Mapping[str, Any]) -> None:
        """The next removal of the item with these keys (in DynamoDB JSON) shall look as if TTL had done it."""
        with self._lock:
            self._expiring.add(_identity(keys))

    def __call__(self, records: Sequence[Record]) -> list[Record]:
        """The records as AWS would have written them, in the same order."""
        following: Iterable[Record | None] = [*records[1:], None]
        kept = [r for r, after in zip(records, following, strict=True) if not _unchanged(r) and not _half(r, after)]
        return [self._expired(record) if record["eventName"] == "REMOVE" else record for record in kept]

    def _expired(self, record: Record) -> Record:
        identity = _identity(record["dynamodb"]["Keys"])
        with self._lock:
            if identity not in self._expiring:
                return record
            self._expiring.discard(identity)
        return {**record, "userIdentity": TTL_IDENTITY}


def _unchanged(record: Record) -> bool:
    change = record["dynamodb"]
    return "OldImage" in change and change["OldImage"] == change.get("NewImage")


def _half(record: Record, after: Record | None) -> bool:
    """The first of the two INSERTs of an UpdateItem that creates: it has the keys only, the next one the item."""
    if after is None or record["eventName"] != "INSERT" or after["eventName"] != "INSERT":
        return False
    return bool(record["dynamodb"]["Keys"] == after["dynamodb"]["Keys"])


def _identity(keys: Mapping[str, Any]) -> str:
    return json.dumps(keys, sort_keys=True)


class ConfirmedSource:
    """A `local.source.StreamSource` that believes only what it has read twice, each time on a fresh iterator.

    When moto cancels a transaction between GetShardIterator and GetRecords, that iterator (and no other) shows changes
    that were never made.
    """

    def __init__(self, source: StreamSource) -> None:
        self._source = source

    @property
    def stream_arn(self) -> str:
        """The stream's ARN."""
        return self._source.stream_arn

    def shards(self) -> Sequence[Shard]:
        """All shards."""
        return self._source.shards()

    def latest(self, shard_id: str) -> Position:
        """The position behind everything the shard holds now."""
        return self._source.latest(shard_id)

    def read(self, shard_id: str, position: Position, limit: int = PAGE_LIMIT) -> Page:
        """The next records behind a position that a second look shows as well."""
        page = self._source.read(shard_id, position, limit)
        if not page.records:
            return page
        confirmed = {record["eventID"] for record in self._source.read(shard_id, position, limit).records}
        return replace(page, records=[record for record in page.records if record["eventID"] in confirmed])
