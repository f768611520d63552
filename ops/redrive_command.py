"""`python -m ops redrive list | show | run | discard`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from ops.arguments import aws_of, selection_of
from ops.aws import Aws
from ops.bucket import FailuresBucket
from ops.discarding import Discard, Doomed
from ops.errors import OutcomeUnknownError, StoppedError, UsageError
from ops.guard import guarded
from ops.interrupt import interruptible
from ops.lease import Lease
from ops.listing import Unreadable, fields_of, groups_of, parked_in, row_of
from ops.masking import masked
from ops.owner import owner
from ops.pace import Pace
from ops.parked import NONE, PREFIXES, Parked, UnreadableError, read
from ops.planning import Plan, Planner, batches
from ops.redriving import Redrive, Tally
from ops.sending import Sender
from ops.view import age, console, progress, say, table
from tablestream.run import SystemClock, ThreadParallel

THREADS = 8
INCOMPLETE = 1
_DISCARD_SECONDS = 120.0
_CLOCK = SystemClock()


def _bucket(aws: Aws) -> FailuresBucket:
    return FailuresBucket(aws.s3(THREADS), aws.bucket, ThreadParallel(THREADS))


def listed(given: argparse.Namespace) -> int:
    """Print what is set aside."""
    bucket, unreadable = _bucket(aws_of(given)), Unreadable()
    selection = selection_of(given, _CLOCK.now())
    objects = parked_in(bucket, unreadable, selection.prefix)
    if given.objects:
        rows = (row_of(parked) for parked in objects if selection.takes(parked))
        _print_objects(rows, as_json=given.json)
    else:
        groups = [fields_of(group) for group in groups_of(objects, selection)]
        _print_groups(groups, as_json=given.json)
    for key, problem in unreadable.problems.items():
        say(f"{key}: left alone: {problem}", error=True)
    return 0


def _print_objects(rows: Any, *, as_json: bool) -> None:
    now = _CLOCK.now()
    for row in rows:
        if as_json:
            print(json.dumps(row))
        else:
            kinds = ", ".join(f"{count} {entity}" for entity, count in sorted(row["entities"].items()))
            tried = "" if row["last_redrive"] == NONE else f", redrive failed: {row['last_redrive']}"
            old = "" if row["first_time"] is None else f", {age(now - row['first_time'])} ago"
            say(f"{row['key']}\n    {row['reason']} in {row['handler']}, {kinds}{old}{tried}")


def _print_groups(groups: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(groups, indent=1))
        return
    if not groups:
        say("nothing is set aside")
        return
    now = _CLOCK.now()
    columns = ("set aside by", "reason", "handler", "objects", "records", "entities", "oldest", "newest", "tried")
    rows = [
        (
            "the worker" if group["kind"] == "dead letter" else "Lambda",
            group["reason"],
            group["handler"],
            group["objects"],
            group["records"],
            ", ".join(f"{count} {entity}" for entity, count in sorted(group["entities"].items())),
            *("" if group[end] is None else age(now - group[end]) for end in ("oldest", "newest")),
            group["tried"],
        )
        for group in groups
    ]
    console().print(table(columns, rows))


def shown(given: argparse.Namespace) -> int:
    """Print one object, its values hidden unless they are asked for."""
    stored = _bucket(aws_of(given)).read(given.key)
    if stored is None:
        raise UsageError(f"there is no object {given.key}")
    try:
        parked = read(stored)
    except UnreadableError as error:
        raise UsageError(f"{given.key}: {error}") from None
    print(json.dumps(parked.content if given.reveal else _hidden(parked), indent=2, ensure_ascii=True))
    return 0


def _hidden(parked: Parked) -> dict[str, Any]:
    row = row_of(parked)
    note = parked.content.get("redrive")
    told = {
        name: parked.content.get(name)
        for name in ("first_time", "time", "timestamp", "worker_version", "DDBStreamBatchInfo")
    }
    return {
        **{name: row[name] for name in ("key", "kind", "reason", "handler", "entities")},
        **{name: value for name, value in told.items() if value is not None},
        **({"redrive": note} if isinstance(note, dict) else {}),
        "records": [masked(record) for record in parked.records],
    }


def _selected(bucket: FailuresBucket, given: argparse.Namespace, take: Callable[..., None]) -> None:
    """Hand every object that is set aside to `take`, with whether it is selected."""
    selection, unreadable = selection_of(given, _CLOCK.now()), Unreadable()
    wrong = [key for key in selection.keys if not key.startswith(PREFIXES)]
    if wrong:
        raise UsageError(f"wanted keys that begin with {' or '.join(PREFIXES)}, got {wrong[0]}")
    with progress("reading", None) as advanced:
        for parked in parked_in(bucket, unreadable):
            take(parked, selected=selection.takes(parked))
            advanced(1)
    if unreadable.problems:
        say(f"{len(unreadable.problems)} objects cannot be read and are left alone; `list` names them", error=True)


def run(given: argparse.Namespace) -> int:
    """Redrive what is selected."""
    aws = aws_of(given)
    bucket, function = _bucket(aws), aws.function
    lease = Lease(bucket, _CLOCK, owner(), given.lease_seconds or aws.timeout(), _warn)
    if given.dry_run:
        _announce(_planned(bucket, given), given.batch_size, function)
        return 0
    with lease.held(), interruptible() as stop:
        plan = _planned(bucket, given)
        _announce(plan, given.batch_size, function)
        with progress("redriving", len(plan.entries)) as advanced:
            send = guarded(aws.invoker(), lease, Pace(given.rate, _CLOCK), stop)
            redrive = Redrive(bucket, plan, Sender(send, given.patience), _CLOCK, advanced, given.batch_size)
            return _carried_out(redrive)


def _planned(bucket: FailuresBucket, given: argparse.Namespace) -> Plan:
    planner = Planner(out_of_order=given.out_of_order)
    _selected(bucket, given, planner.add)
    return planner.plan()


def _announce(plan: Plan, batch_size: int, function: str) -> None:
    count = sum(1 for _ in batches(plan.entries, batch_size))
    items = len({entry.item for entry in plan.entries})
    say(f"{len(plan.entries)} records of {items} items in {len(plan.sources)} objects: {count} batches to {function}")
    if plan.waiting:
        say(
            f"{plan.waiting} records wait, for an earlier change of their item is set aside and not selected: select "
            "that as well, discard it, or say --out-of-order"
        )


def _carried_out(redrive: Redrive) -> int:
    try:
        redrive.run()
    except OutcomeUnknownError:
        raise
    except StoppedError as stopped:
        _sum_up(redrive.tally)
        say(f"stopped: {stopped}", error=True)
        say("what is left is where it was; the same command goes on", error=True)
        return INCOMPLETE
    _sum_up(redrive.tally)
    return 0 if redrive.tally.clean else INCOMPLETE


def _sum_up(tally: Tally) -> None:
    if tally.applied:
        say(f"{tally.applied} records applied; they are now under redriven/")
    if tally.poison:
        say(f"{tally.poison} records are poison again; their dead letters have the new reason")
    for error, count in sorted(tally.failed.items()):
        say(f"{count} records failed: {error}")
    if tally.held_back:
        say(f"{tally.held_back} records held back behind a failed change of their item")
    if tally.gone:
        say(f"{tally.gone} records had been moved or replaced meanwhile")


def discarded(given: argparse.Namespace) -> int:
    """Move what is selected to `discarded/`."""
    bucket = _bucket(aws_of(given))
    doomed: list[Doomed] = []

    def take(parked: Parked, *, selected: bool) -> None:
        if selected:
            doomed.append(Doomed.of(parked))

    _selected(bucket, given, take)
    what = f"{len(doomed)} objects with {sum(one.records for one in doomed)} records"
    if not doomed or not (given.yes or _agreed(f"Discard {what}? They will not be redriven. [y/N] ")):
        say("nothing discarded")
        return INCOMPLETE if doomed else 0
    lease = Lease(bucket, _CLOCK, owner(), _DISCARD_SECONDS, _warn)
    with lease.held(), progress("discarding", len(doomed)) as advanced:

        def moved_on(count: int) -> None:
            lease.renew()
            advanced(count)

        moved = Discard(bucket, _CLOCK, owner()).run(doomed, given.why, moved_on)
    say(f"{moved} of {what} moved to discarded/; the log is under discarded/log/")
    return 0 if moved == len(doomed) else INCOMPLETE


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _warn(text: str) -> None:
    say(text, error=True)
