"""What is set aside, in sums and object by object: nothing that identifies a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tablestream.dead_letters import iso
from tablestream.ops.bucket import FailuresBucket
from tablestream.ops.parked import PREFIXES, Kind, Parked, UnreadableError, created_of, read


@dataclass(slots=True)
class Group:
    """Objects that were set aside by the same, for the same reason. Mutable: it sums up."""

    kind: Kind
    reason: str
    handler: str
    objects: int = 0
    records: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    oldest: float | None = None
    """When the first was set aside for the first time, in seconds since the epoch."""
    newest: float | None = None
    """Likewise, the last."""
    tried: int = 0
    """Objects that a redrive has failed to send."""

    def add(self, parked: Parked) -> None:
        """Count an object."""
        self.objects += 1
        self.records += len(parked.records)
        self.entities.update(parked.entities)
        self.tried += parked.last_redrive != "-"
        time = parked.first_time
        if time is not None:
            self.oldest = time if self.oldest is None else min(self.oldest, time)
            self.newest = time if self.newest is None else max(self.newest, time)


@dataclass(slots=True)
class Unreadable:
    """Objects that are left alone, with the reason. Mutable: gathered while others are read."""

    problems: dict[str, str] = field(default_factory=dict)


def parked_in(bucket: FailuresBucket, unreadable: Unreadable, prefix: str = "") -> Iterator[Parked]:
    """Yield what is set aside, object by object, those below a prefix only."""
    places = [place if place.startswith(prefix) else prefix for place in PREFIXES if _meet(place, prefix)]
    for place in places:
        for stored in bucket.read_all(bucket.keys(place)):
            try:
                yield read(stored)
            except UnreadableError as error:
                unreadable.problems[stored.key] = str(error)


def _meet(place: str, prefix: str) -> bool:
    return place.startswith(prefix) or prefix.startswith(place)


def groups_of(objects: Iterable[Parked]) -> list[Group]:
    """Sum up objects, the most numerous first."""
    groups: dict[tuple[Kind, str, str], Group] = {}
    for parked in objects:
        name = (parked.kind, parked.reason, parked.handler)
        groups.setdefault(name, Group(*name)).add(parked)
    return sorted(groups.values(), key=lambda group: -group.records)


def row_of(parked: Parked) -> dict[str, Any]:
    """Return what may be told about one object."""
    return {
        "key": parked.key,
        "kind": parked.kind.value,
        "reason": parked.reason,
        "handler": parked.handler,
        "records": len(parked.records),
        "entities": dict(parked.entities),
        "first_time": _iso(parked.first_time),
        "time": _iso(parked.time),
        "oldest_change": _iso(created_of(parked)),
        "last_redrive": parked.last_redrive,
    }


def fields_of(group: Group) -> dict[str, Any]:
    """Return a group as plain values."""
    return {
        "kind": group.kind.value,
        **{name: getattr(group, name) for name in ("reason", "handler", "objects", "records")},
        "entities": dict(group.entities),
        "oldest": _iso(group.oldest),
        "newest": _iso(group.newest),
        "tried": group.tried,
    }


def _iso(time: float | None) -> str | None:
    return None if time is None else iso(time)
