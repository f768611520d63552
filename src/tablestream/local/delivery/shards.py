"""Which shards may be read now, and from where (rules 3, 4, 5). Pure: the driver lists shards and reports progress.

A parent is finished before its children begin (D). A shard found after the mapping began starts at its oldest record,
also under LATEST (I): otherwise what is written between two looks at the stream would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tablestream.local.delivery.mapping import StartingPosition
from tablestream.local.trigger.stream import Shard


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin reading a shard: behind `checkpoint`, or at `start` if there is none."""

    shard_id: str
    start: StartingPosition
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What must be kept to resume after a stop (rule 4): checkpoints by shard, and the shards that are finished."""

    checkpoints: Mapping[str, str]
    finished: frozenset[str]


class ShardPlan:
    """Follows a stream's shards. Mutable: it remembers which were begun and finished.

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
        """What to keep for a later start."""
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
