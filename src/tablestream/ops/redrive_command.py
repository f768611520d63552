"""`tablestream redrive list | show | run | discard`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tablestream.dead_letters import iso
from tablestream.ops.arguments import Selection, StackResources, aws_of, selection_of
from tablestream.ops.bucket import FailuresBucket, Lease, owner
from tablestream.ops.invoking import RateLimit, Ready, WatchfulClock, proven, rate_limited
from tablestream.ops.planning import (
    NONE,
    PREFIXES,
    FailureKind,
    FailureObject,
    Plan,
    Planner,
    UnreadableError,
    UnreadableObjects,
    batches,
    created_of,
    failure_objects,
    read_failure,
)
from tablestream.ops.redrive import Redrive, ToDiscard, discard
from tablestream.ops.sending import Sender, SendOutcome, Tally, concluded, told
from tablestream.ops.terminal import Column, CommandError, ExitStatus, Interrupt, Terminal, age, interruptible, masked
from tablestream.run import SystemClock, ThreadParallel


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


THREADS = 8
_DISCARD_SECONDS = 120.0
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


def _bucket(aws: StackResources) -> FailuresBucket:
    return FailuresBucket(aws.s3(THREADS), aws.bucket, ThreadParallel(THREADS))


def listed(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Print what the failures bucket holds."""
    bucket, unreadable = _bucket(aws_of(given)), UnreadableObjects()
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
    stored = _bucket(aws_of(given)).read(given.key)
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


def _select(
    bucket: FailuresBucket, selection: Selection, terminal: Terminal, take: Callable[..., None], interrupt: Interrupt
) -> int:
    """Hand every object to `take`, with whether it is selected; return how many are."""
    wrong = [key for key in selection.keys if not key.startswith(PREFIXES)]
    if wrong:
        raise CommandError(f"wanted keys that begin with {' or '.join(PREFIXES)}, got {wrong[0]}")
    selected, unreadable = 0, UnreadableObjects()
    with terminal.progress("reading", None) as advanced:
        for failure in failure_objects(bucket, unreadable):
            interrupt.check()
            takes = selection.takes(failure)
            take(failure, selected=takes)
            selected += takes
            advanced(1)
    if unreadable.problems:
        terminal.warn(f"{len(unreadable.problems)} objects cannot be read and are left alone; `list` names them")
    if not selected:
        terminal.warn(selection.nothing)
    return selected


def run(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Redrive what is selected."""
    aws = aws_of(given)
    bucket, function = _bucket(aws), aws.function
    selection = selection_of(given, _CLOCK.now())
    if given.dry_run:
        plan = _planned(bucket, selection, given, terminal, Interrupt())
        _announce(plan, given.batch_size, function, terminal)
        return _status(plan, selection)
    lease = Lease(bucket, _CLOCK, owner(), given.lease_seconds or aws.timeout(), terminal.warn)
    tally = Tally()

    def work() -> ExitStatus:
        with lease.held(break_first=given.break_lease), interruptible() as interrupt:
            plan = _planned(bucket, selection, given, terminal, interrupt)
            _announce(plan, given.batch_size, function, terminal)
            if plan.records:
                ready = Ready(lease, interrupt)
                clock = WatchfulClock(_CLOCK, ready)
                send = rate_limited(proven(aws.invoker(ready, clock)), RateLimit(given.rate, clock))
                with terminal.progress("redriving", len(plan.records)) as advanced:

                    def noted(outcome: SendOutcome | None) -> None:
                        told(outcome, terminal)
                        advanced(1)

                    sender = Sender(send, tally, given.patience)
                    Redrive(bucket, plan, sender, tally, _CLOCK, noted, given.batch_size).run()
            return _status(plan, selection)

    return concluded(work, tally, terminal, _sum_up)


def _status(plan: Plan, selection: Selection) -> ExitStatus:
    """Return the status if all goes well: filters that select nothing are taken for a mistake."""
    nothing = selection.narrow and not plan.objects
    return ExitStatus.INCOMPLETE if nothing or plan.waiting else ExitStatus.DONE


def _planned(
    bucket: FailuresBucket, selection: Selection, given: argparse.Namespace, terminal: Terminal, interrupt: Interrupt
) -> Plan:
    planner = Planner(out_of_order=given.out_of_order)
    _select(bucket, selection, terminal, planner.add, interrupt)
    return planner.plan()


def _announce(plan: Plan, batch_size: int, function: str, terminal: Terminal) -> None:
    count = sum(1 for _ in batches(plan.records, batch_size))
    items = len({one.item for one in plan.records})
    terminal.emit(
        "plan",
        records=len(plan.records),
        items=items,
        objects=len(plan.objects),
        batches=count,
        function=function,
        waiting=plan.waiting,
    )
    if plan.objects:
        terminal.say(
            f"{len(plan.records)} records of {items} items in {len(plan.objects)} objects: {count} batches to "
            f"{function}"
        )
    if plan.waiting:
        terminal.say(
            f"{plan.waiting} records wait, for an earlier change of their item is in the bucket and not selected: "
            "select that as well, discard it, or say --out-of-order"
        )


def _sum_up(tally: Tally, terminal: Terminal) -> None:
    if tally.applied:
        terminal.say(f"{tally.applied} records applied; they are now under redriven/")
    if tally.poison:
        terminal.say(f"{tally.poison} records are poison again; their dead letters have the new reason")
    for error, count in sorted(tally.failed.items()):
        terminal.say(f"{count} records failed: {error}")
    if tally.held_back:
        terminal.say(f"{tally.held_back} records held back behind a failed change of their item")
    if tally.gone:
        terminal.say(f"{tally.gone} records had been moved or replaced meanwhile")


def discarded(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Move what is selected to `discarded/`."""
    bucket = _bucket(aws_of(given))
    selection = selection_of(given, _CLOCK.now())
    chosen: list[ToDiscard] = []

    def take(failure: FailureObject, *, selected: bool) -> None:
        if selected:
            chosen.append(ToDiscard.of(failure))

    _select(bucket, selection, terminal, take, Interrupt())
    tally = Tally()
    records = sum(one.records for one in chosen)
    question = f"Discard {len(chosen)} objects with {records} records? They will not be redriven. [y/N] "
    terminal.emit("plan", objects=len(chosen), records=records)

    def work() -> ExitStatus:
        if not chosen:
            return ExitStatus.INCOMPLETE if selection.narrow else ExitStatus.DONE
        if not (given.yes or terminal.agrees(question)):
            return ExitStatus.INCOMPLETE
        lease = Lease(bucket, _CLOCK, owner(), _DISCARD_SECONDS, terminal.warn)
        with (
            lease.held(break_first=given.break_lease),
            interruptible() as interrupt,
            terminal.progress("discarding", len(chosen)) as advanced,
        ):
            ready = Ready(lease, interrupt)
            ready()
            for moved in discard(bucket, chosen, {"by": owner(), "why": given.why}, _CLOCK.now()):
                tally.add("discarded", sum(one.records for one in moved))
                advanced(len(moved))
                ready()
        return ExitStatus.DONE if tally.discarded == records else ExitStatus.INCOMPLETE

    return concluded(work, tally, terminal, _sum_up_discarded)


def _sum_up_discarded(tally: Tally, terminal: Terminal) -> None:
    if tally.discarded:
        terminal.say(f"{tally.discarded} records moved to discarded/; the log is under discarded/log/")
    else:
        terminal.say("nothing discarded")
