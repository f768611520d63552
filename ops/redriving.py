"""The redrive: sends what is set aside to the worker, in order, and settles the objects as it goes.

There is no state beside the bucket: what is settled has been moved away, so whoever runs the tool again goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ops.bucket import FailuresBucket
from ops.errors import StoppedError
from ops.parked import DEAD_LETTERS, Identity, Kind, Parked, read
from ops.planning import Entry, Plan, Source, batches, marked
from ops.sending import Fate, Parcel, Result, Sender
from ops.settling import Settler
from tablestream._version import __version__
from tablestream.change import RawRecord
from tablestream.chunks import chunks
from tablestream.dead_letters import DeadLetter
from tablestream.run import Clock
from tablestream.sinks import S3DeadLetters

DEFAULT_BATCH = 100
_TOGETHER = 4
"""Objects held in memory: those that Lambda gave up have up to 6 MB, and neighbours in the order often lie in one."""


@dataclass(slots=True)
class Tally:
    """What a redrive has come to."""

    applied: int = 0
    poison: int = 0
    """Stored as dead letters again."""
    failed: Counter[str] = field(default_factory=Counter)
    """By error class."""
    held_back: int = 0
    gone: int = 0
    """No longer there when they were to be sent."""

    @property
    def clean(self) -> bool:
        """Whether everything that was sent has been applied."""
        return not (self.poison or self.failed or self.held_back)


@dataclass(slots=True)
class Redrive:
    """Carries out one plan. Mutable: it keeps what it has read last, and counts."""

    bucket: FailuresBucket
    plan: Plan
    sender: Sender
    clock: Clock
    advanced: Callable[[int], None]
    """Told how many records more have found their fate."""
    batch_size: int = DEFAULT_BATCH
    tally: Tally = field(default_factory=Tally)
    _recent: dict[str, Parked] = field(default_factory=dict)

    def run(self) -> Tally:
        """Send batch by batch. Raises `StoppedError`; also then everything known is settled."""
        try:
            for batch in batches(self.plan.entries, self.batch_size):
                self._carry_out(batch)
                self._settle([source for source in self._sources(batch) if not source.waiting])
        finally:
            self._settle(self.plan.sources.values())
        return self.tally

    def _carry_out(self, batch: Sequence[Entry]) -> None:
        by_identity = {entry.identity: entry for entry in batch}
        records = self._payloads(batch)
        for entry in batch:
            if entry.identity not in records:
                self._note(entry, None)
        parcels = [
            Parcel(marked(records[entry.identity], entry.first_time), entry.item)
            for entry in batch
            if entry.identity in records
        ]
        for results in _grouped(self.sender.send(parcels)):
            again = self._poison_again([result.parcel for result in results if result.fate is Fate.SETTLED])
            for result in results:
                self._note(by_identity[result.parcel.identity], result, again=result.parcel.identity in again)

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

    def _poison_again(self, parcels: Sequence[Parcel]) -> set[Identity]:
        """Return which of the settled records the worker has stored as dead letters just now.

        Its answer does not tell; the objects do: the worker writes under a key that follows from the record.
        """
        keys = [(parcel, key) for parcel in parcels for key in self._letter_keys(parcel)]
        found = self.bucket.etags([key for _, key in keys])
        again: set[Identity] = set()
        for (parcel, key), etag in zip(keys, found, strict=True):
            source = self.plan.sources.get(key)
            known = source.etag if source is not None else self.plan.others.get(key)
            if etag is not None and etag != known:
                again.add(parcel.identity)
                if source is not None:
                    source.again = True
        return again

    def _letter_keys(self, parcel: Parcel) -> set[str]:
        """Return where the worker stores this record: by the day of the change, or today if it does not tell."""
        event_id, sequence = parcel.identity
        letters = S3DeadLetters(self.bucket.client, self.bucket.name, prefix=DEAD_LETTERS)
        return {
            letters.key(DeadLetter(parcel.record, event_id, str(sequence), "", "", None, now, __version__))
            for now in (self.clock.now(), self.clock.now() - _INVOCATION)
        }

    def _note(self, entry: Entry, result: Result | None, *, again: bool = False) -> None:
        self._count(result, again=again)
        for key, position in entry.places:
            source = self.plan.sources[key]
            source.waiting.discard(position)
            if result is not None and result.fate is Fate.SETTLED:
                source.settled.add(position)
            elif result is not None and result.fate is Fate.FAILED:
                source.failed[position] = (result.error, result.detail)
        self.advanced(1)

    def _count(self, result: Result | None, *, again: bool) -> None:
        if result is None:
            self.tally.gone += 1
        elif result.fate is Fate.FAILED:
            self.tally.failed[result.error] += 1
        elif result.fate is Fate.HELD_BACK:
            self.tally.held_back += 1
        elif again:
            self.tally.poison += 1
        else:
            self.tally.applied += 1

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


_INVOCATION = 900.0
"""Seconds that an invocation may take at most (Lambda quotas)."""


def _grouped(results: Iterator[Result]) -> Iterator[list[Result]]:
    """Put settled results that come one after the other together, so that they are looked up side by side."""
    group: list[Result] = []
    try:
        for result in results:
            group.append(result)
            if len(group) >= DEFAULT_BATCH or result.fate is not Fate.SETTLED:
                yield group
                group = []
    except StoppedError:
        yield group
        raise
    yield group
