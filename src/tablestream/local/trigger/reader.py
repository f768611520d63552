"""Reads the shards of one stream at the poll rate, each from its own position, parents before children."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tablestream.local.delivery.shard import Begin, Progress, ShardDelivery, ShardPlan
from tablestream.local.trigger.stream import (
    After,
    IteratorExpired,
    Position,
    RecordsTrimmed,
    StreamGone,
    StreamSource,
    TrimHorizon,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tablestream.local.delivery.mapping import MappingSettings
    from tablestream.local.delivery.protocol import LambdaRecord

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
    """Polls a stream into its shards' deliveries. `poll_interval` in seconds per shard; `correct` sees every page.

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
