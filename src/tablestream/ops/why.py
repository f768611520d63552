"""`tablestream why KEY`: the life of one item, from its table, stream, journal, dead letters and logs.

Each source gives moments: a time, what happened, and where that is told. Sorted, they are the answer to the question
why an item is as it is, or why something did not happen.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from botocore.exceptions import ClientError

from tablestream.change import RawRecord, creation_of, event_id_of, key_hash_of
from tablestream.dead_letters import iso, seconds
from tablestream.errors import TablestreamError
from tablestream.local.trigger.stream import After, BotoStream, IteratorExpired, Position, StreamGone, TrimHorizon
from tablestream.ops.arguments import StackResources, add_json, add_resources, aws_of
from tablestream.ops.planning import (
    FailureKind,
    FailureObject,
    UnreadableError,
    UnreadableObjects,
    failure_objects,
    read_failure,
)
from tablestream.ops.redrive import REDRIVEN
from tablestream.ops.terminal import CommandError, ExitStatus, Interrupt, Terminal, counted, interruptible
from tablestream.worker import Worker

if TYPE_CHECKING:
    from tablestream.ops.bucket import FailuresBucket

Json = Any
Key = Mapping[str, Mapping[str, str]]
"""A primary key in DynamoDB JSON, as a record carries it."""

_WITHOUT_INTEREST = {
    "level",
    "message",
    "location",
    "timestamp",
    "service",
    "name",
    "correlation_id",
    "xray_trace_id",
    "function_request_id",
}
STATE = Path(".local/up.json")
"""The state file of `tablestream local` in this folder."""
_PATIENCE_SECONDS = 10
_SOURCES = 8  # columns


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("key", nargs="+", metavar="VALUE", help="of the key: one, or that of pk and that of sk")
    add_resources(parser, "table", "bucket", "journal", "function")
    words = "your worker: its handlers are asked what each change leads to, and nothing of it is carried out"
    parser.add_argument("--worker", metavar="MODULE:NAME", help=words)
    words = "lines that the function wrote; - is standard input"
    parser.add_argument("--log", action="append", default=[], metavar="FILE", help=words)
    parser.add_argument("--reveal", action="store_true", help="show the values of the item, and reasons in words")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Tell the life of the item; the status is 1 where nothing is known of it."""
    aws = aws_of(given)
    described = _described(aws)
    life = Life(key_of(given.key, described))
    item = aws.client("dynamodb").get_item(TableName=aws.table, Key=as_boto(life.key), ConsistentRead=True).get("Item")
    worker = None if given.worker is None else worker_of(given.worker)
    bucket, unreadable = aws.failures_bucket(), UnreadableObjects()
    with interruptible() as interrupt, ExitStack() as progress:
        advanced = progress.enter_context(terminal.progress("reading", None))
        records = [record for record in _changes(aws, described, interrupt, advanced) if life.concerns(record)]
        asked = Asking(worker, aws, terminal, reveal=given.reveal)
        for record in records:
            life.change(record, asked(record))
        life.failures(all_failures(bucket, unreadable, REDRIVEN), reveal=given.reveal)
    for name in given.log:
        life.logged(_lines(name))
    life.delivered(_deliveries(life.key), reveal=given.reveal)
    _tell(life, item, aws.table, terminal, reveal=given.reveal)
    _advise(life, bucket, terminal)
    for key, problem in unreadable.problems.items():
        terminal.warn(f"{key}: cannot be read: {problem}")
    return ExitStatus.DONE if item is not None or life.moments else ExitStatus.INCOMPLETE


def worker_of(name: str) -> Worker:
    """Import the worker that MODULE:NAME names, or that the function of this name returns. Raises `CommandError`."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise CommandError(f"wanted MODULE:NAME, such as leads:worker, got {name}")
    sys.path.insert(0, os.fspath(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise CommandError(f"{name} cannot be imported: {error}") from error
    finally:
        sys.path.remove(os.fspath(Path.cwd()))
    made = found if isinstance(found, Worker) else found() if callable(found) else found
    if not isinstance(made, Worker):
        raise CommandError(f"wanted a Worker, got a {type(made).__name__}: {name}")
    return made


class Asking:
    """Tells what a change leads to, as far as it is known: by the handlers, and by the journal."""

    def __init__(self, worker: Worker | None, aws: StackResources, terminal: Terminal, *, reveal: bool) -> None:
        """Take the worker, if it was named; `reveal` shows the effects with their values."""
        self._worker = worker
        self._aws = aws
        self._terminal = terminal
        self._reveal = reveal
        self._unknown = False

    def __call__(self, record: RawRecord) -> list[str]:
        """Return the lines for one change: each effect, and whether the journal has it as done."""
        key = f"{self._aws.function}/{event_id_of(record)}.{record['dynamodb']['SequenceNumber']}"
        if self._worker is None:
            return [f"journal: done {name}" for name in sorted(self._done(key))]
        try:
            asked = self._worker.consequences(record, self._aws.function)
        except TablestreamError as error:
            return [f"the worker does not take it: {type(error).__name__}: {error}"]
        if not asked.key:
            return ["no handler wants it"]
        if asked.problem:
            return [f"the handlers refuse it: {asked.problem if self._reveal else asked.problem.partition(':')[0]}"]
        done = self._done(asked.key)
        told = [(name, value) for name, value in asked.effects]
        return [self._effect(name, value, known=name in done) for name, value in told] or ["leads to no effect"]

    def _effect(self, name: str, value: object, *, known: bool) -> str:
        shown = str(value) if self._reveal else type(value).__name__
        return f"{name.partition('/')[0]}: {shown}{' (done, says the journal)' if known else ''}"

    def _done(self, key: str) -> set[str]:
        if self._unknown:
            return set()
        try:
            entry = self._aws.client("dynamodb").get_item(TableName=self._aws.journal, Key={"pk": {"S": key}})
        except (CommandError, ClientError) as error:
            self._unknown = True
            self._terminal.warn(f"the journal is not asked: {error}")
            return set()
        return set(entry.get("Item", {}).get("done", {}).get("SS", ()))


def _described(aws: StackResources) -> Mapping[str, Json]:
    try:
        described: Mapping[str, Json] = aws.client("dynamodb").describe_table(TableName=aws.table)["Table"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            raise CommandError(f"there is no table {aws.table}") from None
        raise
    return described


def _changes(
    aws: StackResources, described: Mapping[str, Json], interrupt: Interrupt, advanced: Any
) -> Iterator[RawRecord]:
    """Yield all records that the table's stream still has: those of the last 24 hours."""
    arn = described.get("LatestStreamArn")
    if arn is None:
        return
    stream = BotoStream(aws.client("dynamodbstreams"), arn, follow=True)
    for shard in stream.shards():
        position: Position = TrimHorizon()
        try:
            while True:
                interrupt.check()
                page = stream.read(shard.shard_id, position)
                advanced(len(page.records))
                yield from page.records
                if page.at_end or not page.records:
                    break
                position = After(page.records[-1]["dynamodb"]["SequenceNumber"])
        except (StreamGone, IteratorExpired):
            continue  # the shard has ended meanwhile


def _lines(name: str) -> Iterator[str]:
    if name == "-":
        yield from sys.stdin
        return
    try:
        with Path(name).open(encoding="utf-8", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from None


def _deliveries(key: Key) -> Sequence[Mapping[str, Json]]:
    """Return what a running `tablestream local` of this folder knows of the item; nothing where none runs."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
        if state["endpoint"] != os.environ.get("AWS_ENDPOINT_URL"):
            return ()  # another stack is asked about
        body = json.dumps({"keys": key}).encode()
        asked = Request(f"{state['control']}/deliveries", body, {"Content-Type": "application/json"})  # noqa: S310 - an http address from our state file
        with urlopen(asked, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310 - likewise
            deliveries: Sequence[Mapping[str, Json]] = json.load(answer)
    except (OSError, ValueError, LookupError):
        return ()
    return deliveries


def _tell(life: Life, item: Mapping[str, Json] | None, table: str, terminal: Terminal, *, reveal: bool) -> None:
    name = " ".join(value for tagged in life.key.values() for value in tagged.values())
    now = "not there" if item is None else f"there, with {counted(len(item), 'attribute')}"
    terminal.emit("item", table=table, key=dict(life.key), there=item is not None, **({"item": item} if reveal else {}))
    terminal.say(f"{name} in {table}: {now}")
    if reveal and item is not None:
        for attribute, value in sorted(item.items()):
            terminal.say(f"    {attribute}: {json.dumps(value, default=str)}")
    for moment in life.in_order():
        terminal.emit("moment", **moment.told())
        at = "-" if moment.at is None else iso(moment.at).removesuffix("+00:00") + "Z"
        terminal.say(f"{at:24}  {moment.source:{_SOURCES}}{moment.what}")
        for line in moment.details:
            terminal.say(f"{'':26}{'':{_SOURCES}}{line}")
    if not life.moments:
        terminal.say("nothing is known of its changes: a stream keeps them for 24 hours")


def _advise(life: Life, bucket: FailuresBucket, terminal: Terminal) -> None:
    """Say how to send again what is still in the failures bucket."""
    waiting = [one.details[-1] for one in life.moments if one.source == "bucket"]
    waiting = [key for key in waiting if not key.startswith(REDRIVEN)]
    if waiting:
        terminal.emit("advice", redrive=waiting)
        terminal.say(f"what is in {bucket.name} is sent again by: tablestream redrive run {' '.join(waiting)}")


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to an item: `source` tells it, `what` says it in words, `details` below that.

    `at` is in seconds since the epoch; None where the source does not tell when.
    """

    at: float | None
    source: str
    what: str
    details: Sequence[str] = ()

    def told(self) -> dict[str, Json]:
        """Return it as plain values."""
        return {"at": self.at, "source": self.source, "what": self.what, "details": list(self.details)}


@dataclass(slots=True)
class Life:
    """The moments of an item, put together source by source. Mutable."""

    key: Key
    moments: list[Moment] = field(default_factory=list)
    records: dict[str, RawRecord] = field(default_factory=dict)
    """The item's changes by event id, wherever they were found."""

    def concerns(self, record: RawRecord) -> bool:
        """Tell whether a record is of this item."""
        return bool(record["dynamodb"].get("Keys") == self.key)

    def change(self, record: RawRecord, details: Sequence[str]) -> None:
        """Take a change that the stream tells of."""
        self.records[event_id_of(record)] = record
        stream = record["dynamodb"]
        expired = " by Time to Live" if "userIdentity" in record else ""
        what = f"{record['eventName']}{expired}, sequence number {stream['SequenceNumber']}"
        self.moments.append(Moment(creation_of(record), "stream", what, details))

    def failures(self, objects: Iterable[FailureObject], *, reveal: bool) -> None:
        """Take what of the failures bucket is about this item."""
        for failure in objects:
            for record in filter(self.concerns, failure.records):
                self.records.setdefault(event_id_of(record), record)
                self.moments.append(_moment_of(failure, record, reveal=reveal))

    def logged(self, lines: Iterable[str]) -> None:
        """Take the lines of a log that name one of the item's changes, or the hash of its key."""
        names = {*self.records, *(key_hash_of(record) for record in self.records.values())}
        for line in lines:
            if any(name in line for name in names):
                self.moments.append(_moment_of_line(line))

    def delivered(self, deliveries: Iterable[Mapping[str, Json]], *, reveal: bool) -> None:
        """Take deliveries as a running `tablestream local` tells of them."""
        for one in deliveries:
            changed = [f"{count} {kind} of items" for kind, count in one["changes"].items()]
            sent = [
                f"{effect['kind']} {effect['to']}{': ' + effect['what'] if reveal else ''}" for effect in one["effects"]
            ]
            what = " ".join(part for part in (f"{one['who']} {one['what']}", one["outcome"], one["detail"]) if part)
            self.moments.append(Moment(one["at"], "local", what, [*changed, *sent]))

    def in_order(self) -> list[Moment]:
        """Return the moments by time; those of which it is not known last."""
        return sorted(self.moments, key=lambda moment: (moment.at is None, moment.at or 0.0))


def key_of(values: Sequence[str], described: Mapping[str, Json]) -> Key:
    """Return the key that these values are, in the order of the table's key, in DynamoDB JSON.

    `described` is what `describe_table` tells. Raises `CommandError` for too few or too many of them.
    """
    names = [entry["AttributeName"] for entry in described["KeySchema"]]
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in described["AttributeDefinitions"]}
    if len(values) != len(names):
        wanted = " and ".join(f"{name} ({_TYPES[types[name]]})" for name in names)
        raise CommandError(f"the key of {described['TableName']} is {wanted}; got {len(values)}: {' '.join(values)}")
    return {name: {types[name]: value} for name, value in zip(names, values, strict=True)}


_TYPES = {"S": "text", "N": "a number", "B": "binary, in base64"}


def as_boto(key: Key) -> dict[str, dict[str, Any]]:
    """Return a key as boto3 takes it: a binary value as bytes. Raises `CommandError` for what is no base64."""
    try:
        return {
            name: {kind: base64.b64decode(text, validate=True) if kind == "B" else text for kind, text in value.items()}
            for name, value in key.items()
        }
    except ValueError:
        raise CommandError("wanted base64 for the binary part of the key") from None


def all_failures(bucket: FailuresBucket, unreadable: UnreadableObjects, redriven: str) -> Iterator[FailureObject]:
    """Yield what is in the failures bucket, and what a redrive has moved away below the prefix `redriven`."""
    yield from failure_objects(bucket, unreadable)
    for stored in bucket.read_all(bucket.keys(redriven)):
        try:
            yield read_failure(stored)
        except UnreadableError as error:
            unreadable.problems[stored.key] = str(error)


def _moment_of(failure: FailureObject, record: RawRecord, *, reveal: bool) -> Moment:
    about = f"{record['eventName']}, sequence number {record['dynamodb']['SequenceNumber']}"
    if failure.kind is FailureKind.DEAD_LETTER:
        what = f"dead letter: {failure.reason} in {failure.handler}"
    else:
        what = f"given up by Lambda with {len(failure.records)} records: {failure.reason}"
    reason = failure.content.get("reason") if reveal else None
    tried = "" if failure.last_redrive == "-" else f"a redrive failed: {failure.last_redrive}"
    return Moment(failure.time, "bucket", what, [about, *filter(None, (reason, tried)), failure.key])


def _moment_of_line(line: str) -> Moment:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or "message" not in entry:
        return Moment(None, "log", line.strip())
    fields = [f"{name} {value}" for name, value in entry.items() if name not in _WITHOUT_INTEREST]
    at = seconds(str(entry.get("timestamp", "")).replace(",", "."))
    return Moment(
        at, "log", f"{entry.get('level', '')} {entry['message']}".strip(), [", ".join(fields)] if fields else []
    )
