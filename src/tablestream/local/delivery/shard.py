"""Delivers one shard of a DynamoDB stream as Lambda does: a pure state machine without I/O, whose time is a parameter.

The driver lists shards to `ShardPlan`, reads those that may begin and offers their records to a `ShardDelivery` each,
carries out what `due` returns, and reports outcomes to `answered`. The rules are listed in docs/delivery-rules.md with
their sources; code comments mark what is documented (D), recorded against AWS by others (R), one practitioner's
experiment (P) or inferred (I).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from zlib import crc32

from tablestream.local.delivery.batch import PAYLOAD_LIMIT, Checkpoint
from tablestream.local.delivery.filters import FilterSet
from tablestream.local.delivery.mapping import MappingSettings, StartingPosition
from tablestream.local.delivery.protocol import (
    Checkpointed,
    DeliveryAction,
    DeliveryEvent,
    Filtered,
    Gathered,
    InvocationOutcome,
    LambdaRecord,
)
from tablestream.local.delivery.slot import Slot, SlotContext

FEWEST_READ_AHEAD = 1000
"""Records that may always be held: GetRecords returns up to 1000 at once (rule 6)."""


class ShardDelivery:
    """Delivers the records of one shard. One instance per shard; all times are unix seconds.

    `checkpoint` is where an earlier delivery of the shard stopped (rule 4): offer what comes after it.
    """

    def __init__(
        self, settings: MappingSettings, shard_id: str, stream_arn: str, *, checkpoint: str | None = None
    ) -> None:
        self._settings = settings
        self._filters = FilterSet.compile(settings.filters)
        self._checkpoint = Checkpoint(checkpoint)
        self._events: list[DeliveryEvent] = []
        self._flights: dict[int, Slot] = {}
        self._closed = False
        context = SlotContext(settings, shard_id, stream_arn, self._checkpoint, self._emit, count(1).__next__)
        self._slots = tuple(Slot(number, context) for number in range(settings.parallelization))

    def offer(self, records: Iterable[LambdaRecord], now: float) -> None:
        """Take raw Lambda-shaped records in stream order; filters are applied here, before batches are cut (rule 9).

        Records are kept, not copied. Raises ValueError for a record out of order, without a sequence number, or offered
        after `close`.
        """
        if self._closed:
            raise ValueError("records offered after the shard was closed")
        filtered = 0
        for record in records:
            passed = self._filters.matches(record)
            entry = self._checkpoint.enter(record, now, passed=passed)
            if passed:
                self._slots[self._slot_of(record)].buffer.add(entry)
            filtered += not passed
        if filtered:
            self._emit(Filtered(filtered, now))
            self._advance(now)

    def close(self) -> None:
        """The shard is closed and read to its end: what is gathered goes out without waiting for its window."""
        self._closed = True
        for slot in self._slots:
            slot.buffer.closed = True

    def due(self, now: float) -> list[DeliveryAction]:
        """Return the actions to carry out now, in this order. A DiscardRecords counts as done once it is returned."""
        actions: list[DeliveryAction] = []
        for slot in self._slots:
            actions += slot.due(now)
            if slot.flying is not None:
                self._flights[slot.flying] = slot
        if actions:
            self._advance(now)
        return actions

    def answered(self, invoke_id: int, outcome: InvocationOutcome, now: float) -> None:
        """Report what an invocation came to. Raises ValueError for an id that is not in flight."""
        slot = self._flights.pop(invoke_id, None)
        if slot is None:
            raise ValueError(f"invocation {invoke_id} is not in flight")
        slot.answered(outcome, now)
        self._advance(now)

    @property
    def checkpoint(self) -> str | None:
        """The highest sequence number below and at which everything is finished, in all slots."""
        return self._checkpoint.sequence_number

    def next_due(self, now: float) -> float | None:
        """The time at which `due` must be asked again; None if only an answer or new records can bring something."""
        times = [time for slot in self._slots if (time := slot.next_due(now)) is not None]
        return min(times, default=None)

    @property
    def idle(self) -> bool:
        """Nothing gathered, in flight or to retry, and no tumbling window open."""
        return all(slot.idle for slot in self._slots)

    @property
    def gathered(self) -> tuple[Gathered, ...]:
        """The records that are in no batch yet, by slot; to be asked after `due`."""
        return tuple(found for slot in self._slots if (found := slot.gathered) is not None)

    @property
    def finished(self) -> bool:
        """The shard was closed and everything of it is done: its children may begin (rule 5)."""
        return self._closed and self.idle

    @property
    def room(self) -> bool:
        """Whether more records should be polled. How far AWS reads ahead of a blocked slot is not documented (I)."""
        slots = self._settings.parallelization
        records = max(FEWEST_READ_AHEAD, 2 * self._settings.batch_size * slots)
        return (
            not self._closed
            and self._checkpoint.unfinished < records
            and self._checkpoint.unfinished_bytes < 2 * PAYLOAD_LIMIT * slots
        )

    def events(self) -> list[DeliveryEvent]:
        """Return the events since the last call, in order."""
        drained = list(self._events)
        self._events.clear()
        return drained

    def _emit(self, event: DeliveryEvent) -> None:
        self._events.append(event)

    def _advance(self, now: float) -> None:
        if self._checkpoint.advance() and self._checkpoint.sequence_number is not None:
            self._emit(Checkpointed(self._checkpoint.sequence_number, now))

    def _slot_of(self, record: LambdaRecord) -> int:
        """Order holds per item (D); that the slot is a hash of the full key is inferred (I)."""
        if len(self._slots) == 1:
            return 0
        key = json.dumps(record["dynamodb"]["Keys"], sort_keys=True)
        return crc32(key.encode()) % len(self._slots)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of a stream. `closed` says that no more records will be written to it."""

    shard_id: str
    parent: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin reading a shard: behind `checkpoint`, or at `start` if there is none."""

    shard_id: str
    start: StartingPosition
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Checkpoints by shard, and the shards that are finished: kept, they let a later start resume (rule 4)."""

    checkpoints: Mapping[str, str]
    finished: frozenset[str]


class ShardPlan:
    """Tells the shards of a stream that may be read now, and from where (rules 3, 4, 5).

    A parent is finished before its children begin (D). A shard found after the mapping began starts at its oldest
    record, also under LATEST (I): otherwise what is written between two looks at the stream would be lost.
    The driver lists shards and reports progress. Mutable: it remembers which shards were begun and finished.

    With a `progress` from an earlier run a shard resumes behind its checkpoint; one without a checkpoint starts at its
    oldest record. So whoever begins a shard at LATEST reports the position it found as its first checkpoint.
    """

    def __init__(self, starting_position: StartingPosition, progress: Progress | None = None) -> None:
        self._first_start: StartingPosition = "TRIM_HORIZON" if progress is not None else starting_position
        self._checkpoints = dict(progress.checkpoints) if progress is not None else {}
        self._finished = set(progress.finished) if progress is not None else set()
        self._begun: set[str] = set()
        self._listed: dict[str, Shard] = {}
        self._from_latest: frozenset[str] = frozenset()
        self._first = True

    def update(self, shards: Iterable[Shard]) -> list[Begin]:
        """Take a fresh listing of the stream; returns the shards whose reading may begin now."""
        listing = {shard.shard_id: shard for shard in shards}
        if self._first:
            self._skip_history(listing)
        self._listed = listing
        self._first = False
        return self._ready()

    def checkpointed(self, shard_id: str, sequence_number: str) -> None:
        """Remember how far a shard is done."""
        self._checkpoints[shard_id] = sequence_number

    def finished(self, shard_id: str) -> list[Begin]:
        """A shard was closed, read to its end and delivered; returns the children that may begin now."""
        self._finished.add(shard_id)
        self._checkpoints.pop(shard_id, None)
        return self._ready()

    @property
    def progress(self) -> Progress:
        """The progress to keep for a later start."""
        return Progress(dict(self._checkpoints), frozenset(self._finished & self._listed.keys()))

    def _skip_history(self, listing: Mapping[str, Shard]) -> None:
        """Under LATEST nothing is wanted of what the shards hold that are there at the beginning."""
        if self._first_start == "LATEST":
            self._finished.update(shard.shard_id for shard in listing.values() if shard.closed)
            self._from_latest = frozenset(listing)

    def _ready(self) -> list[Begin]:
        ready = [shard for shard in self._listed.values() if self._may_begin(shard)]
        self._begun.update(shard.shard_id for shard in ready)
        return [self._begin(shard) for shard in ready]

    def _may_begin(self, shard: Shard) -> bool:
        if shard.shard_id in self._begun or shard.shard_id in self._finished:
            return False
        # A parent that is no longer listed has no records left.
        return shard.parent is None or shard.parent in self._finished or shard.parent not in self._listed

    def _begin(self, shard: Shard) -> Begin:
        start: StartingPosition = "LATEST" if shard.shard_id in self._from_latest else "TRIM_HORIZON"
        return Begin(shard.shard_id, start, self._checkpoints.get(shard.shard_id))
