"""DynamoDB streams and their reading: the protocol, a stream behind boto3, Lambda's shape of a record, the reader.

Sources: shards, iterators, page limits and retention as documented (rules 5, 6, 36); the shape of a record as recorded,
partly inferred (rules 34, 35).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from tablestream.dynamodb.items import record_bytes
from tablestream.local.delivery.shard import Begin, Progress, Shard, ShardDelivery, ShardPlan

if TYPE_CHECKING:
    from tablestream.local.delivery.mapping import MappingSettings
    from tablestream.local.delivery.protocol import LambdaRecord


PAGE_LIMIT = 1000
"""Records GetRecords returns at most (rule 6, D)."""

EVENT_VERSION = "1.1"
EVENT_SOURCE = "aws:dynamodb"


class IteratorExpired(Exception):
    """The iterator is older than 15 minutes: read again from the same position."""


class RecordsTrimmed(Exception):
    """The position is older than the stream keeps records: what was there is lost, go on from the oldest record."""


class StreamGone(Exception):
    """The stream or the shard does not exist, or no longer."""


@dataclass(frozen=True, slots=True)
class After:
    """Just behind a record."""

    sequence_number: str


@dataclass(frozen=True, slots=True)
class TrimHorizon:
    """At the oldest record that is still there."""


Position = After | TrimHorizon


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Lambda-shaped records in stream order; `at_end` says that the shard is closed and read to its end.

    `written` are the times (unix seconds) of the writes by sequence number, where the source knows fractions of a
    second. The records carry whole seconds, as in AWS.
    """

    records: Sequence[Mapping[str, Any]]
    at_end: bool = False
    written: Mapping[str, float] = field(default_factory=dict)


class StreamSource(Protocol):
    """A DynamoDB stream. Positions are values, so there is no iterator to keep alive between two reads."""

    @property
    def stream_arn(self) -> str:
        """The stream's ARN."""
        ...

    def shards(self) -> Sequence[Shard]:
        """All shards that are still listed, parents included. Raises StreamGone."""
        ...

    def latest(self, shard_id: str) -> Position:
        """The position behind everything the shard holds now (for StartingPosition LATEST)."""
        ...

    def read(self, shard_id: str, position: Position, limit: int = PAGE_LIMIT) -> RecordPage:
        """The next records behind a position. Raises IteratorExpired, RecordsTrimmed, StreamGone."""
        ...


class BotoStream:
    """A stream behind a boto3 `dynamodbstreams` client: moto, DynamoDB Local or AWS.

    With `follow`, the iterator of an empty page is used for the next read of that position: on AWS a page can be empty
    although more follows, which a fresh iterator would ask for again and again. The embedded AWS has no such pages, and
    forgets iterators after a while (`cloud.server`), so it is read with a fresh one every time.

    `end` tells without a request how far the stream goes: by a value that changes with every record, None if it is not
    known. Where nothing was behind a position, and the end is the same still, nothing is asked: a stack that is idle
    would be busy with that.
    """

    def __init__(
        self,
        client: Any,
        stream_arn: str,
        *,
        follow: bool = False,
        end: Callable[[str], object] = lambda _stream_arn: None,
    ) -> None:
        self._client = client
        self.stream_arn = stream_arn
        self.follow = follow
        self._end = end
        self._read_through: dict[str, tuple[Position, object]] = {}
        self._behind: dict[tuple[str, Position], str] = {}

    def shards(self) -> Sequence[Shard]:
        """All shards, page by page."""
        found: list[Shard] = []
        request: dict[str, Any] = {"StreamArn": self.stream_arn}
        while True:
            description = self._call("describe_stream", **request)["StreamDescription"]
            found += [_shard(shard) for shard in description["Shards"]]
            last = description.get("LastEvaluatedShardId")
            if not last:
                return found
            request["ExclusiveStartShardId"] = last

    def latest(self, shard_id: str) -> Position:
        """Behind the last record the shard holds now, which is read through for it."""
        position: Position = TrimHorizon()
        while records := self.read(shard_id, position).records:
            position = After(records[-1]["dynamodb"]["SequenceNumber"])
        return position

    def read(self, shard_id: str, position: Position, limit: int = PAGE_LIMIT) -> RecordPage:
        """One GetRecords call, or none where there can be nothing."""
        end = self._end(self.stream_arn)  # before the call: what is written meanwhile makes it another one
        if end is not None and self._read_through.get(shard_id) == (position, end):
            return RecordPage([])
        answer = self._answer(shard_id, position, min(limit, PAGE_LIMIT))
        records = [to_lambda_record(record, self.stream_arn) for record in answer["Records"]]
        following = answer.get("NextShardIterator")
        if following and not records:
            self._read_through[shard_id] = position, end
            if self.follow:
                self._behind[shard_id, position] = following
        return RecordPage(records, at_end=not following, written=dict(_written(answer["Records"])))

    def _answer(self, shard_id: str, position: Position, limit: int) -> dict[str, Any]:
        kept = self._behind.pop((shard_id, position), None)
        if kept is not None:
            try:
                return self._call("get_records", ShardIterator=kept, Limit=limit)
            except (IteratorExpired, RecordsTrimmed):
                # Only a fresh one tells whether the position itself is gone: DynamoDB Local says so of an iterator that
                # was made before the shard's first record.
                pass
        return self._call("get_records", ShardIterator=self._iterator(shard_id, position), Limit=limit)

    def _iterator(self, shard_id: str, position: Position) -> str:
        request = {"StreamArn": self.stream_arn, "ShardId": shard_id, **_iterator_type(position)}
        iterator: str = self._call("get_shard_iterator", **request)["ShardIterator"]
        return iterator

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except self._client.exceptions.ExpiredIteratorException as error:
            raise IteratorExpired(operation) from error
        except self._client.exceptions.TrimmedDataAccessException as error:
            raise RecordsTrimmed(operation) from error
        except self._client.exceptions.ResourceNotFoundException as error:
            raise StreamGone(self.stream_arn) from error
        return answer


def _written(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    for record in records:
        if (at := written_at(record)) is not None:
            yield record["dynamodb"]["SequenceNumber"], at


def _shard(described: Mapping[str, Any]) -> Shard:
    closed = "EndingSequenceNumber" in described.get("SequenceNumberRange", {})
    return Shard(described["ShardId"], described.get("ParentShardId"), closed)


def _iterator_type(position: Position) -> dict[str, str]:
    if isinstance(position, After):
        return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position.sequence_number}
    return {"ShardIteratorType": "TRIM_HORIZON"}


def to_lambda_record(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """The Lambda shape of what boto3's `get_records` returned; the given record is left as it is.

    eventVersion and awsRegion are those of AWS and of the stream's ARN, whatever an emulator says (moto: "1.0", always
    us-east-1), and SizeBytes counts as AWS does (moto: four to eleven times as much). A member the source leaves out
    stays out.
    """
    shaped: dict[str, Any] = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": EVENT_VERSION,
        "eventSource": EVENT_SOURCE,
        "awsRegion": _region(stream_arn) or record.get("awsRegion", ""),
        "dynamodb": _change(record["dynamodb"]),
        "eventSourceARN": stream_arn,
    }
    identity = record.get("userIdentity")
    if identity:
        shaped["userIdentity"] = {key[:1].lower() + key[1:]: value for key, value in identity.items()}
    return shaped


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(change)
    return plain | {"SizeBytes": record_bytes(plain["Keys"], plain.get("NewImage"), plain.get("OldImage"))}


def written_at(record: Mapping[str, Any]) -> float | None:
    """The time (unix seconds) at which a record of `get_records` was written; None if told in whole seconds only.

    An emulator tells it to a fraction of a second, which the event does not carry: it is for measuring.
    """
    created = record["dynamodb"].get("ApproximateCreationDateTime")
    return created.timestamp() if isinstance(created, datetime) and created.microsecond else None


def _region(stream_arn: str) -> str:
    """The region of arn:aws:dynamodb:REGION:...; DynamoDB Local has "ddblocal" there, which is none."""
    region = stream_arn.split(":")[3:4]
    return "" if region == ["ddblocal"] else "".join(region)


def _plain(value: Any) -> Any:
    """JSON values: bytes as base64 text also inside L and M, times as whole seconds in a float."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return float(int(value.timestamp()))  # AWS's streams have whole seconds, an emulator's may not (R)
    return value


RELIST_SECONDS = 5.0  # how often the stream is asked for new shards; a closed shard's children are looked for at once
ERROR_SECONDS = 1.0  # after a read that failed


@dataclass(slots=True)
class Reading:
    """One shard being read and delivered. Mutable: it is the loop's bookkeeping.

    `settled` is when a poll began that found nothing new while nothing was left to deliver; None if not so.
    """

    delivery: ShardDelivery
    position: Position
    next_poll: float
    at_end: bool = False
    settled: float | None = None


@dataclass(slots=True)
class StreamReader:
    """Polls a stream into its shards' deliveries, parents before children, each shard from its own position.

    `poll_interval` is in seconds per shard; `correct` sees every page.

    `written` is told the times of the writes of a page by sequence number, with the shard, where the source knows them
    to a fraction of a second.

    With the `resume` of an earlier reader's `progress` it goes on behind what that one has finished (rule 4).
    """

    source: StreamSource
    settings: MappingSettings
    poll_interval: float
    correct: Callable[[Sequence[LambdaRecord]], Sequence[LambdaRecord]]
    trouble: Callable[[str], None]
    written: Callable[[str, Mapping[str, float]], None] = lambda _shard_id, _times: None
    resume: Progress | None = None
    readings: dict[str, Reading] = field(default_factory=dict)
    _plan: ShardPlan = field(init=False)
    _next_listing: float = 0.0
    _listed: bool = False

    def __post_init__(self) -> None:
        """Begin where the settings, or the progress of an earlier reader, say."""
        self._plan = ShardPlan(self.settings.starting_position, self.resume)

    @property
    def progress(self) -> Progress | None:
        """The progress of the stream; None if it was never listed, so that nothing has begun."""
        for shard_id, reading in self.readings.items():
            if (checkpoint := reading.delivery.checkpoint) is not None:
                self._plan.checkpointed(shard_id, checkpoint)
        return self._plan.progress if self._listed else self.resume

    def poll(self, now: float) -> None:
        """Read every shard whose turn has come, and look for new shards."""
        if now >= self._next_listing:
            self._list(now)
        for shard_id, reading in list(self.readings.items()):
            if now >= reading.next_poll and reading.delivery.room and not reading.at_end:
                self._read(shard_id, reading, now)
        self._retire(now)

    def next_poll(self) -> float:
        """The time at which `poll` must be called again."""
        waiting = [r.next_poll for r in self.readings.values() if r.delivery.room and not r.at_end]
        return min([self._next_listing, *waiting])

    def pause(self, until: float) -> None:
        """Read nothing before `until`."""
        self._next_listing = max(self._next_listing, until)
        for reading in self.readings.values():
            reading.next_poll = max(reading.next_poll, until)

    def _list(self, now: float) -> None:
        self._next_listing = now + RELIST_SECONDS
        try:
            self._begin(self._plan.update(self.source.shards()), now)
            self._listed = True
        except StreamGone:
            self.trouble(f"there is no stream {self.source.stream_arn}")

    def _begin(self, begins: Sequence[Begin], now: float) -> None:
        for begin in begins:
            start = self._start(begin)
            if isinstance(start, After):  # under LATEST too: whoever resumes begins here, not at what was there before
                self._plan.checkpointed(begin.shard_id, start.sequence_number)
            delivery = ShardDelivery(self.settings, begin.shard_id, self.source.stream_arn, checkpoint=begin.checkpoint)
            self.readings[begin.shard_id] = Reading(delivery, start, now)

    def _start(self, begin: Begin) -> Position:
        if begin.checkpoint is not None:
            return After(begin.checkpoint)
        return self.source.latest(begin.shard_id) if begin.start == "LATEST" else TrimHorizon()

    def _read(self, shard_id: str, reading: Reading, now: float) -> None:
        reading.next_poll = now + self.poll_interval
        was_idle = reading.delivery.idle
        try:
            page = self.source.read(shard_id, reading.position)
        except IteratorExpired:
            reading.next_poll = now
            return
        except RecordsTrimmed:
            self.trouble(f"{shard_id}: records were trimmed before they were read; going on with the oldest there is")
            reading.position = TrimHorizon()
            return
        except StreamGone:
            self.trouble(f"there is no shard {shard_id}")
            reading.next_poll = now + ERROR_SECONDS
            return
        if page.written:
            self.written(shard_id, page.written)
        if page.records:
            reading.position = After(page.records[-1]["dynamodb"]["SequenceNumber"])
            reading.delivery.offer(self.correct(page.records), now)
        reading.settled = now if was_idle and not page.records else None
        if page.at_end and not page.records:
            reading.at_end = True
            reading.delivery.close()

    def _retire(self, now: float) -> None:
        finished = [shard_id for shard_id, reading in self.readings.items() if reading.delivery.finished]
        for shard_id in finished:
            del self.readings[shard_id]
            self._begin(self._plan.finished(shard_id), now)
            self._next_listing = now
