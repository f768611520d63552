"""Discarding: objects moved aside for good, with a log of who did it and why."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

from tablestream.chunks import chunks
from tablestream.ops.bucket import FailuresBucket
from tablestream.ops.parked import Parked
from tablestream.ops.sending import Tally
from tablestream.run import Clock

DISCARDED = "discarded/"
_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class Doomed:
    """An object to be discarded."""

    key: str
    etag: str
    kind: str
    reason: str
    records: int

    @classmethod
    def of(cls, parked: Parked) -> Doomed:
        """Return what is needed of an object."""
        return cls(parked.key, parked.etag, parked.kind.value, parked.reason, len(parked.records))


@dataclass(frozen=True, slots=True)
class Discard:
    """Moves objects to `discarded/`, having written down which and why."""

    bucket: FailuresBucket
    clock: Clock
    owner: str
    ready: Callable[[], None]
    """Called before objects are moved; raises `StoppedError` when nothing more shall be moved."""
    tally: Tally
    """Counts the records of the objects that were moved."""

    def run(self, doomed: Sequence[Doomed], why: str, advanced: Callable[[int], None]) -> None:
        """Discard objects, less those that somebody has changed meanwhile. Raises `StoppedError`."""
        self._log(doomed, why)
        for part in chunks(doomed, _TOGETHER):
            self.ready()
            done = self.bucket.parallel.run([partial(self.bucket.move, one.key, one.etag, DISCARDED) for one in part])
            self.tally.add("discarded", sum(one.records for one, moved in zip(part, done, strict=True) if moved))
            advanced(len(part))

    def _log(self, doomed: Iterable[Doomed], why: str) -> None:
        """Write the log first: what is moved is in it even if the tool is killed."""
        at = datetime.fromtimestamp(self.clock.now(), UTC)
        entry = {
            "time": at.isoformat(timespec="milliseconds"),
            "by": self.owner,
            "why": why,
            "objects": [asdict(one) for one in doomed],
        }
        key = f"{DISCARDED}log/{at:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}.json"
        self.bucket.write(key, json.dumps(entry, indent=1).encode(), new=True)
