"""`tablestream replay query | scan | export`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tablestream._version import __version__
from tablestream.dead_letters import DeadLetter
from tablestream.ops.arguments import StackResources, add_json, add_resources, add_sending, aws_of, positive
from tablestream.ops.bucket import FailuresBucket, Lease, owner
from tablestream.ops.invoking import RateLimit, Ready, WatchfulClock, proven, rate_limited
from tablestream.ops.replay import Replay, ReplayState, default_path
from tablestream.ops.sending import Sender, SendOutcome, Tally, concluded, told
from tablestream.ops.sources import Export, ItemSource, Maker, Query, Scan, SourceTable
from tablestream.ops.terminal import CommandError, ExitStatus, StoppedError, Terminal, age, counted, interruptible
from tablestream.run import Deadline, Run, SystemClock
from tablestream.sink import Done
from tablestream.sinks import S3DeadLetters

_PUT_SECONDS = 60.0
_UNIT_BYTES = 4096
"""A strongly consistent read unit; an eventually consistent read costs half (DynamoDB developer guide)."""
_CLOCK = SystemClock()


def add(parser: argparse.ArgumentParser) -> None:
    """Add the commands."""
    commands = parser.add_subparsers(dest="command", required=True)
    query = commands.add_parser("query", help="the items of one partition")
    query.add_argument("--key", required=True, metavar="VALUE", help="of the partition key")
    query.add_argument("--sort-prefix", metavar="TEXT", help="only sort keys that begin so")
    scan = commands.add_parser("scan", help="all items, in segments side by side")
    scan.add_argument("--segments", type=positive, default=4, metavar="N", help="default: %(default)s")
    export = commands.add_parser("export", help="a full export to S3 in DynamoDB JSON")
    export.add_argument("folder", metavar="s3://BUCKET/…/AWSDynamoDB/ID", help="where its manifests are")
    for command in (query, scan, export):
        _add_common(command)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_resources(parser, "table", "function", "bucket")
    add_sending(parser)
    add_json(parser)
    parser.add_argument("--entity", action="append", default=[], help="only this entity type; may be repeated")
    parser.add_argument("--notify", action="store_true", help="also effects that are not idempotent: notifications")
    parser.add_argument("--name", metavar="RUN", help="the run's name; under one name nobody is notified twice")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="how far it has come (default: a file in ~/.local/state/tablestream)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say about how much it would be, and read no item")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class _Job:
    source: ItemSource
    table: SourceTable
    about: dict[str, Any]
    """What tells this replay from another."""
    items: int | None
    threads: int


def _job(given: argparse.Namespace, aws: StackResources) -> _Job:
    threads = given.segments if given.command == "scan" else 4
    client = aws.client("dynamodb", max_pool_connections=threads)
    table = SourceTable.described(client, aws.table)
    about: dict[str, Any] = {"table": table.arn, "kind": given.command, "entities": sorted(given.entity)}
    if given.command == "scan":
        about["segments"] = given.segments
        return _Job(Scan(client, table, given.segments), table, about, table.items, threads)
    if given.command == "query":
        about |= {"key": given.key, "sort prefix": given.sort_prefix}
        return _Job(Query(client, table, given.key, given.sort_prefix), table, about, None, 1)
    bucket, _, folder = given.folder.removeprefix("s3://").partition("/")
    if not given.folder.startswith("s3://") or not folder:
        raise CommandError(f"wanted s3://BUCKET/FOLDER, got {given.folder}")
    export = Export(aws.s3(threads), bucket, folder.rstrip("/"))
    return _Job(export, table, {**about, "folder": given.folder.rstrip("/")}, export.check(), threads)


def run(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Replay."""
    aws = aws_of(given)
    job = _job(given, aws)
    if given.dry_run:
        _estimate(job, given, terminal)
        return ExitStatus.DONE
    bucket = FailuresBucket(aws.s3(job.threads), aws.bucket)
    lease = Lease(bucket, _CLOCK, owner(), given.lease_seconds or aws.timeout(), terminal.warn)
    tally = Tally()

    def work() -> ExitStatus:
        with lease.held(break_first=given.break_lease), interruptible() as interrupt:
            state = _state(given, job, terminal)
            tally.include(state.tally)
            ready = Ready(lease, interrupt)
            clock = WatchfulClock(_CLOCK, ready)
            send = rate_limited(proven(aws.invoker(ready, clock, job.threads)), RateLimit(given.rate, clock))
            with terminal.progress("replaying", job.items) as advanced:
                Replay(
                    source=job.source,
                    state=state,
                    maker=Maker(job.table.arn, job.table.keys, state.run, state.at, state.notify),
                    sender=lambda tally: Sender(send, tally, given.patience),
                    tally=tally,
                    store=partial(store_failed, bucket),
                    noted=lambda outcome: told(outcome, terminal),
                    advanced=advanced,
                    entities=frozenset(given.entity),
                    batch_size=given.batch_size,
                    threads=job.threads,
                ).run()
            state.remove()
            return ExitStatus.DONE

    return concluded(work, tally, terminal, _sum_up)


def _state(given: argparse.Namespace, job: _Job, terminal: Terminal) -> ReplayState:
    path = given.state or default_path({**job.about, "notify": given.notify}, os.environ)
    now = _CLOCK.now()
    name = given.name or f"{given.command}-{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S}"
    state = ReplayState.opened(path, job.about, name, float(int(now)), notify=given.notify)
    if given.name not in {None, state.run}:
        raise CommandError(f"{path} is the state of the run {state.run}: name another file with --state, or delete it")
    if state.resumed:
        terminal.warn(f"going on with the run {state.run}, as {path} has it")
    return state


def _estimate(job: _Job, given: argparse.Namespace, terminal: Terminal) -> None:
    """Say about how much it would be."""
    invocations = None if job.items is None else -(-job.items // given.batch_size)
    reads = job.table.size / _UNIT_BYTES / 2 if given.command == "scan" else None
    terminal.emit("plan", items=job.items, batches=invocations, read_units=reads)
    if job.items is None:
        terminal.say("a query: DynamoDB does not tell beforehand how many items it has")
        return
    terminal.say(f"about {counted(job.items, 'item')}: {counted(invocations or 0, 'invocation')} or more")
    if given.rate:
        terminal.say(f"at {given.rate:g} records a second: {age(job.items / given.rate)} or more")
    if reads is not None:
        terminal.say(f"about {job.table.size / 1e6:.3g} MB to be read: {reads:.1f} read units")


def store_failed(bucket: FailuresBucket, outcomes: Sequence[SendOutcome]) -> None:
    """Store records for which the worker failed as dead letters, which a redrive sends again. Raises `StoppedError`."""
    letters = [_letter(outcome) for outcome in outcomes]
    store = S3DeadLetters(bucket.client, bucket.name)
    answers = store.store(letters, Run(Deadline(lambda: _PUT_SECONDS))) if letters else ()
    if not all(isinstance(answer, Done) for answer in answers):
        raise StoppedError("what failed could not be written to the failures bucket")


def _letter(outcome: SendOutcome) -> DeadLetter:
    record = outcome.pending.record
    return DeadLetter(
        record=record,
        event_id=outcome.pending.identity[0],
        sequence_number=record["dynamodb"]["SequenceNumber"],
        reason=outcome.detail or "the worker failed for it during a replay",
        error_class=outcome.error or "HeldBack",
        handler=None,
        time=_CLOCK.now(),
        worker_version=__version__,
    )


def _sum_up(tally: Tally, terminal: Terminal) -> None:
    terminal.say(f"{counted(tally.applied, 'item')} applied, {tally.passed_over} passed over")
    if tally.poison:
        terminal.say(f"{counted(tally.poison, 'item')} poison; the worker has stored a dead letter for each")
    for error, count in sorted(tally.failed.items()):
        terminal.say(f"{counted(count, 'item')} failed: {error}; each has a dead letter, or its batch is sent again")
