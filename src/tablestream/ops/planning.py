"""What is to be sent, and in which order. Pure; holds no payloads, so its memory is small change per record.

Sequence numbers order the changes of one item; across items any order will do, so one order by sequence number serves
all. A record that lies in two objects is sent once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tablestream.change import RawRecord
from tablestream.dead_letters import FIRST_TIME, iso
from tablestream.ops.parked import Identity, Parked, identity_of, item_of

MAX_BYTES = 5_500_000
"""Of one event. Lambda takes 6 MB in a synchronous invocation (Lambda quotas)."""

Place = tuple[str, int]
"""An object's key, and the position of a record in it."""


def marked(record: RawRecord, first_time: float | None) -> RawRecord:
    """Return a record as a redrive sends it: it says so, and when it was set aside for the first time."""
    since = {} if first_time is None else {FIRST_TIME: iso(first_time)}
    return {**record, "redriven": True, **since}


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be sent, without its payload."""

    event_id: str
    sequence: int
    item: bytes
    size: int
    """Bytes of the record as it is sent."""
    places: tuple[Place, ...]
    first_time: float | None
    """When the record was set aside for the first time."""

    @property
    def identity(self) -> Identity:
        """What makes it the same change as another."""
        return self.event_id, self.sequence


@dataclass(slots=True)
class Source:
    """An object whose records are to be sent, and what is known to have become of each, by position."""

    key: str
    etag: str
    total: int
    waiting: set[int]
    """Positions that are yet to be sent."""
    settled: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Error class and detail."""
    closed: bool = False
    """Whether the object has been brought up to date."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Entries in the order in which they are sent, and where they come from."""

    entries: Sequence[Entry]
    sources: dict[str, Source]
    waiting: int = 0
    """Selected records that are left out: an earlier change of their item is set aside as well and not selected."""


class Planner:
    """Gathers what is in the bucket, object by object."""

    def __init__(self, *, out_of_order: bool = False) -> None:
        """With `out_of_order` a record is sent even if an earlier change of its item is left behind."""
        self._out_of_order = out_of_order
        self._found: dict[Identity, Entry] = {}
        self._sources: dict[str, Source] = {}
        self._left_behind: dict[bytes, int] = {}

    def add(self, parked: Parked, *, selected: bool) -> None:
        """Take an object; those that are not selected matter for the order."""
        if not selected:
            self._leave(parked)
            return
        self._sources[parked.key] = _source(parked)
        for position, record in enumerate(parked.records):
            identity = identity_of(record)
            known = self._found.get(identity)
            places = (*(known.places if known else ()), (parked.key, position))
            times = [time for time in (known.first_time if known else None, parked.first_time) if time is not None]
            first_time = min(times, default=None)
            size = len(json.dumps(marked(record, first_time), separators=(",", ":")))
            self._found[identity] = Entry(*identity, item_of(record), size, places, first_time)

    def _leave(self, parked: Parked) -> None:
        if self._out_of_order:
            return
        for record in parked.records:
            item, sequence = item_of(record), identity_of(record)[1]
            self._left_behind[item] = min(sequence, self._left_behind.get(item, sequence))

    def plan(self) -> Plan:
        """Return what to send."""
        entries = sorted(self._found.values(), key=_order)
        ready = [entry for entry in entries if entry.sequence <= self._left_behind.get(entry.item, entry.sequence)]
        if len(ready) < len(entries):
            sent = {entry.identity for entry in ready}
            for entry in entries:
                if entry.identity not in sent:
                    for key, position in entry.places:
                        self._sources[key].waiting.discard(position)
        return Plan(ready, self._sources, len(entries) - len(ready))


def _source(parked: Parked) -> Source:
    total = len(parked.records)
    return Source(parked.key, parked.etag, total, set(range(total)))


def _order(entry: Entry) -> tuple[int, str]:
    return entry.sequence, entry.event_id


def batches(entries: Sequence[Entry], most: int, most_bytes: int = MAX_BYTES) -> Iterator[Sequence[Entry]]:
    """Cut entries into runs of at most `most` records and `most_bytes` bytes; a larger record stands alone."""
    begin = size = 0
    for index, entry in enumerate(entries):
        if index > begin and (index - begin == most or size + entry.size > most_bytes):
            yield entries[begin:index]
            begin, size = index, 0
        size += entry.size + 1
    if begin < len(entries):
        yield entries[begin:]
