"""The redrive: sends what is set aside to the worker, in order, and settles the objects as it goes.

There is no state beside the bucket: what is settled has been moved away, so whoever runs the tool again goes on.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tablestream.change import RawRecord
from tablestream.chunks import chunks
from tablestream.ops.bucket import FailuresBucket
from tablestream.ops.planning import Entry, Identity, Kind, Parked, Plan, Source, batches, identity_of, marked, read
from tablestream.ops.sending import PendingRecord, RecordOutcome, Sender, Tally
from tablestream.report import RecordState
from tablestream.run import Clock

DEFAULT_BATCH = 100
_TOGETHER = 4
"""Objects held in memory: those that Lambda gave up have up to 6 MB, and neighbours in the order often lie in one."""


@dataclass(slots=True)
class Redrive:
    """Carries out one plan. Mutable: it keeps what it has read last."""

    bucket: FailuresBucket
    plan: Plan
    sender: Sender
    tally: Tally
    clock: Clock
    noted: Callable[[RecordOutcome | None], None]
    """Told what became of each record; None for one that is gone."""
    batch_size: int = DEFAULT_BATCH
    _recent: dict[str, Parked] = field(default_factory=dict)

    def run(self) -> None:
        """Send batch by batch. Raises `StoppedError`; also then everything known is settled."""
        try:
            for batch in batches(self.plan.entries, self.batch_size):
                self._carry_out(batch)
                self._settle([source for source in self._sources(batch) if not source.waiting])
        finally:
            self._settle(self.plan.sources.values())

    def _carry_out(self, batch: Sequence[Entry]) -> None:
        by_identity = {entry.identity: entry for entry in batch}
        records = self._payloads(batch)
        for entry in batch:
            if entry.identity not in records:
                self._gone(entry)
        pending = [
            PendingRecord(marked(records[entry.identity], entry.first_time), entry.item)
            for entry in batch
            if entry.identity in records
        ]
        self.sender.send(pending, lambda outcome: self._note(by_identity[outcome.pending.identity], outcome))

    def _payloads(self, batch: Sequence[Entry]) -> dict[Identity, RawRecord]:
        """Return the records of a batch as they lie in the bucket, less those that do no longer."""
        found: dict[Identity, RawRecord] = {}
        turn = 0
        while wanted := [e for e in batch if e.identity not in found and len(e.places) > turn]:
            keys = list(dict.fromkeys(entry.places[turn][0] for entry in wanted))
            for part in chunks(keys, _TOGETHER):
                parked = self._fetch(part)
                for entry in wanted:
                    key, position = entry.places[turn]
                    if key in parked:
                        found[entry.identity] = parked[key].records[position]
            turn += 1
        return found

    def _fetch(self, keys: Sequence[str]) -> dict[str, Parked]:
        """Return the objects with these keys, less those that have changed since the plan was made."""
        missing = [key for key in keys if key not in self._recent]
        etags = [self.plan.sources[key].etag for key in missing]
        stored = self.bucket.parallel.run([partial(self.bucket.read, *one) for one in zip(missing, etags, strict=True)])
        fetched = {one.key: read(one) for one in stored if one is not None}
        known = {key: self._recent[key] for key in keys if key in self._recent}
        for key, parked in fetched.items():
            if parked.kind is Kind.GIVEN_UP:
                self._recent[key] = parked
        while len(self._recent) > _TOGETHER:
            del self._recent[next(iter(self._recent))]
        return known | fetched

    def _gone(self, entry: Entry) -> None:
        self.tally.add("gone", 1)
        for key, position in entry.places:
            self.plan.sources[key].waiting.discard(position)
        self.noted(None)

    def _note(self, entry: Entry, outcome: RecordOutcome) -> None:
        for key, position in entry.places:
            source = self.plan.sources[key]
            source.waiting.discard(position)
            if outcome.state is RecordState.FAILED:
                source.failed[position] = (outcome.error, outcome.detail)
            elif outcome.state is RecordState.APPLIED or (outcome.state is RecordState.POISONED and outcome.key != key):
                source.settled.add(position)  # a dead letter that the worker has replaced stays, with the new reason
        self.noted(outcome)

    def _sources(self, batch: Sequence[Entry]) -> list[Source]:
        keys = dict.fromkeys(key for entry in batch for key, _ in entry.places)
        return [self.plan.sources[key] for key in keys]

    def _settle(self, sources: Iterable[Source]) -> None:
        """Settle objects, each once."""
        settler = Settler(self.bucket, self.clock)
        open_ones = [source for source in sources if not source.closed and (source.settled or source.failed)]
        self.bucket.parallel.run([partial(settler.settle, source) for source in open_ones])
        for source in open_ones:
            source.closed = True
            self._recent.pop(source.key, None)


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


DISCARDED = "discarded/"
_MOVED_TOGETHER = 100


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
        for part in chunks(doomed, _MOVED_TOGETHER):
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
