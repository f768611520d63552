"""A stream in memory, for what emulators cannot do: shards that split and close, trimmed records, expired iterators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tablestream.local.delivery.protocol import LambdaRecord
from tablestream.local.delivery.shard import Shard
from tablestream.local.trigger.stream import (
    PAGE_LIMIT,
    After,
    IteratorExpired,
    Position,
    RecordPage,
    RecordsTrimmed,
    StreamGone,
    TrimHorizon,
)

PAGE_BYTES = 1_000_000
"""Bytes GetRecords returns at most (rule 6, D); measured by SizeBytes, so that nothing has to be serialized."""


class MemoryStream:
    """A `trigger.stream.StreamSource` that is written to by its test or simulator. Mutable: it is the stream."""

    def __init__(self, stream_arn: str = "arn:aws:dynamodb:eu-west-1:111122223333:table/T/stream/2026-01-01") -> None:
        self.stream_arn = stream_arn
        self._shards: dict[str, Shard] = {}
        self._records: dict[str, list[LambdaRecord]] = {}
        self._trimmed: dict[str, int] = {}
        self._expire: set[str] = set()

    def open(self, shard_id: str, parent: str | None = None) -> None:
        """Add a shard that can be written to."""
        self._shards[shard_id] = Shard(shard_id, parent)
        self._records[shard_id] = []

    def close(self, shard_id: str) -> None:
        """No more records will come to the shard."""
        shard = self._existing(shard_id)
        self._shards[shard_id] = Shard(shard_id, shard.parent, closed=True)

    def forget(self, shard_id: str) -> None:
        """The shard is no longer listed, as a closed one some time after its last record expired."""
        self._existing(shard_id)
        del self._shards[shard_id], self._records[shard_id]

    def append(self, shard_id: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write Lambda-shaped records, in order. Raises ValueError if the shard is closed."""
        if self._existing(shard_id).closed:
            raise ValueError(f"shard {shard_id} is closed")
        self._records[shard_id].extend(records)

    def trim(self, shard_id: str, sequence_number: str) -> None:
        """Drop everything up to and including this sequence number, as after 24 h (rule 36)."""
        kept = [record for record in self._records[shard_id] if _number(record) > int(sequence_number)]
        self._records[shard_id] = kept
        self._trimmed[shard_id] = int(sequence_number)

    def expire_iterator(self, shard_id: str) -> None:
        """Make the next read of the shard raise IteratorExpired."""
        self._expire.add(shard_id)

    def shards(self) -> Sequence[Shard]:
        """All shards, in the order they were opened."""
        return tuple(self._shards.values())

    def latest(self, shard_id: str) -> Position:
        """Behind the last record."""
        self._existing(shard_id)
        records = self._records[shard_id]
        return After(records[-1]["dynamodb"]["SequenceNumber"]) if records else TrimHorizon()

    def read(self, shard_id: str, position: Position, limit: int = PAGE_LIMIT) -> RecordPage:
        """At most `limit` records and 1 MB behind a position."""
        shard = self._existing(shard_id)
        if shard_id in self._expire:
            self._expire.discard(shard_id)
            raise IteratorExpired(shard_id)
        start = self._start(shard_id, position)
        records = self._records[shard_id]
        page = _page(records, start, min(limit, PAGE_LIMIT))
        return RecordPage(page, at_end=shard.closed and start + len(page) == len(records))

    def _start(self, shard_id: str, position: Position) -> int:
        if isinstance(position, TrimHorizon):
            return 0
        number = int(position.sequence_number)
        if number < self._trimmed.get(shard_id, -1):
            raise RecordsTrimmed(shard_id)
        records = self._records[shard_id]
        return next((index for index, record in enumerate(records) if _number(record) > number), len(records))

    def _existing(self, shard_id: str) -> Shard:
        if shard_id not in self._shards:
            raise StreamGone(shard_id)
        return self._shards[shard_id]


def _page(records: Sequence[LambdaRecord], start: int, limit: int) -> list[LambdaRecord]:
    page: list[LambdaRecord] = []
    size = 0
    for record in records[start : start + limit]:
        size += record["dynamodb"].get("SizeBytes", 0)
        if page and size > PAGE_BYTES:
            break
        page.append(record)
    return page


def _number(record: LambdaRecord) -> int:
    return int(record["dynamodb"]["SequenceNumber"])
