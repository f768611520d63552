"""What becomes of the objects in the bucket once the fate of their records is known.

Everything is written before anything is deleted, and each step can be done again: a tool that is killed anywhere leaves
objects whose records are sent once more, which repeats no effect.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tablestream.ops.bucket import FailuresBucket
from tablestream.ops.parked import Parked, identity_of, read
from tablestream.ops.planning import Source
from tablestream.run import Clock

REDRIVEN = "redriven/"


@dataclass(frozen=True, slots=True)
class Settler:
    """Moves what is settled, and notes at what failed why it did."""

    bucket: FailuresBucket
    clock: Clock

    def settle(self, source: Source) -> None:
        """Bring an object up to date with what is known of its records.

        An object that somebody else has changed meanwhile stays as it is.
        """
        if len(source.settled) == source.total:
            self.bucket.move(source.key, source.etag, REDRIVEN)
            return
        stored = self.bucket.read(source.key, source.etag)
        if stored is not None:
            self._keep_rest(source, read(stored))

    def _keep_rest(self, source: Source, parked: Parked) -> None:
        """Keep the settled records under `redriven/`, then leave the others in place."""
        done = [record for position, record in enumerate(parked.records) if position in source.settled]
        rest = [record for position, record in enumerate(parked.records) if position not in source.settled]
        if done:
            names = "".join(identity_of(record)[0] for record in done)
            part = hashlib.sha256(names.encode()).hexdigest()[:12]
            self.bucket.write(f"{REDRIVEN}{source.key}.{part}", parked.with_records(done))
        self.bucket.write(source.key, parked.with_records(rest, **self._note(source)), etag=source.etag)

    def _note(self, source: Source) -> dict[str, Any]:
        if not source.failed:
            return {}
        error, detail = next(iter(source.failed.values()))
        at = datetime.fromtimestamp(self.clock.now(), UTC).isoformat(timespec="milliseconds")
        return {"redrive": {"time": at, "error": error, "detail": detail, "records": len(source.failed)}}
