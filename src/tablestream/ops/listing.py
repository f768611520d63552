"""`tablestream redrive list | show`: what the failures bucket holds."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tablestream.dead_letters import iso
from tablestream.ops.arguments import aws_of, selection_of
from tablestream.ops.planning import (
    NONE,
    FailureKind,
    FailureObject,
    UnreadableError,
    UnreadableObjects,
    created_of,
    failure_objects,
    read_failure,
)
from tablestream.ops.terminal import Column, CommandError, ExitStatus, Terminal, age, masked
from tablestream.run import SystemClock

_CLOCK = SystemClock()
COLUMNS = (
    Column("by", 1),
    Column("reason"),
    Column("handler", 5),
    Column("objects", 2),
    Column("records"),
    Column("entities"),
    Column("oldest"),
    Column("newest", 4),
    Column("tried", 3),
)


@dataclass(slots=True)
class Group:
    """Objects of one kind, reason and handler. Mutable: it sums up."""

    kind: FailureKind
    reason: str
    handler: str
    objects: int = 0
    records: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    oldest: float | None = None
    """When the first was stored for the first time, in seconds since the epoch."""
    newest: float | None = None
    """Likewise, the last."""
    tried: int = 0
    """Objects that a redrive has failed to send."""

    def add(self, failure: FailureObject) -> None:
        """Count an object."""
        self.objects += 1
        self.records += len(failure.records)
        self.entities.update(failure.entities)
        self.tried += failure.last_redrive != "-"
        time = failure.first_time
        if time is not None:
            self.oldest = time if self.oldest is None else min(self.oldest, time)
            self.newest = time if self.newest is None else max(self.newest, time)


def groups_of(objects: Iterable[FailureObject]) -> list[Group]:
    """Sum up objects, the most numerous first."""
    groups: dict[tuple[FailureKind, str, str], Group] = {}
    for failure in objects:
        name = (failure.kind, failure.reason, failure.handler)
        groups.setdefault(name, Group(*name)).add(failure)
    return sorted(groups.values(), key=lambda group: -group.records)


def row_of(failure: FailureObject) -> dict[str, Any]:
    """Return what may be told about one object."""
    return {
        "key": failure.key,
        "kind": failure.kind.value,
        "reason": failure.reason,
        "handler": failure.handler,
        "records": len(failure.records),
        "entities": dict(failure.entities),
        "first_time": _iso(failure.first_time),
        "time": _iso(failure.time),
        "oldest_change": _iso(created_of(failure)),
        "last_redrive": failure.last_redrive,
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


def listed(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Print what the failures bucket holds."""
    bucket, unreadable = aws_of(given).failures_bucket(), UnreadableObjects()
    selection = selection_of(given, _CLOCK.now())
    objects = filter(selection.takes, failure_objects(bucket, unreadable, selection.prefix))
    found = _print_objects(objects, terminal) if given.objects else _print_groups(groups_of(objects), terminal)
    for key, problem in unreadable.problems.items():
        terminal.emit("unreadable", key=key, problem=problem)
        terminal.warn(f"{key}: left alone: {problem}")
    if not found:
        terminal.say(selection.nothing)
    return ExitStatus.DONE


def _print_objects(objects: Iterable[FailureObject], terminal: Terminal) -> bool:
    now, found = _CLOCK.now(), False
    for failure in objects:
        found, row = True, row_of(failure)
        terminal.emit("object", **row)
        kinds = ", ".join(f"{count} {entity}" for entity, count in sorted(row["entities"].items()))
        tried = "" if row["last_redrive"] == NONE else f", redrive failed: {row['last_redrive']}"
        old = "" if failure.first_time is None else f", {age(now - failure.first_time)} ago"
        terminal.say(f"{failure.key}\n    {failure.reason} in {failure.handler}, {kinds}{old}{tried}")
    return found


def _print_groups(groups: Sequence[Group], terminal: Terminal) -> bool:
    now = _CLOCK.now()
    for group in groups:
        terminal.emit("group", **fields_of(group))
    rows = [
        (
            "worker" if group.kind is FailureKind.DEAD_LETTER else "Lambda",
            group.reason,
            group.handler,
            group.objects,
            group.records,
            ", ".join(f"{count} {entity}" for entity, count in sorted(group.entities.items())),
            *("" if end is None else age(now - end) for end in (group.oldest, group.newest)),
            group.tried,
        )
        for group in groups
    ]
    if rows and not terminal.as_json:
        terminal.table(COLUMNS, rows)
    return bool(rows)


def shown(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Print one object, its values hidden unless they are asked for."""
    stored = aws_of(given).failures_bucket().read(given.key)
    if stored is None:
        raise CommandError(f"there is no object {given.key}")
    try:
        failure = read_failure(stored)
    except UnreadableError as error:
        raise CommandError(f"{given.key}: {error}") from None
    content = dict(failure.content) if given.reveal else _hidden(failure)
    terminal.emit("content", **content)
    terminal.say(json.dumps(content, indent=2, ensure_ascii=True))
    return ExitStatus.DONE


def _hidden(failure: FailureObject) -> dict[str, Any]:
    row = row_of(failure)
    note = failure.content.get("redrive")
    times = ("first_time", "time", "timestamp", "worker_version", "DDBStreamBatchInfo")
    told = {name: failure.content.get(name) for name in times}
    return {
        **{name: row[name] for name in ("key", "kind", "reason", "handler", "entities")},
        **{name: value for name, value in told.items() if value is not None},
        **({"redrive": note} if isinstance(note, dict) else {}),
        "records": [masked(record) for record in failure.records],
    }
