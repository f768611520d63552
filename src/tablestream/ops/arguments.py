"""The arguments that commands have in common: resources of a stack, filters and what they select, limits of sending."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tablestream.ops.bucket import LONGEST_SECONDS, FailuresBucket
from tablestream.ops.invoking import Invoker
from tablestream.ops.planning import PREFIXES, FailureObject, UnreadableObjects, failure_objects
from tablestream.ops.terminal import CommandError, Interrupt, Terminal, counted
from tablestream.run import Clock, ThreadParallel

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters that all have to hold; an empty one always does."""

    reasons: frozenset[str] = frozenset()
    entities: frozenset[str] = frozenset()
    since: float | None = None
    """Seconds since the epoch, inclusive; of the time at which the records were stored for the first time."""
    until: float | None = None
    """Likewise, exclusive."""
    prefix: str = ""
    """How the object's key begins."""
    keys: frozenset[str] = frozenset()

    @property
    def narrow(self) -> bool:
        """Whether there is any filter."""
        return self != Selection()

    @property
    def nothing(self) -> str:
        """A sentence for a selection that selects nothing."""
        if self.narrow:
            return "nothing in the failures bucket is selected by these filters"
        return "the failures bucket holds nothing"

    def takes(self, failure: FailureObject) -> bool:
        """Tell whether an object is selected. One without a time is in no range."""
        if self.keys and failure.key not in self.keys:
            return False
        if self.reasons and failure.reason not in self.reasons:
            return False
        if self.entities and not self.entities & set(failure.entities):
            return False
        return failure.key.startswith(self.prefix) and self._in_range(failure.first_time)

    def _in_range(self, time: float | None) -> bool:
        if time is None:
            return self.since is None and self.until is None
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


def time_of(text: str, now: float) -> float:
    """Return a point in time in seconds since the epoch: ISO 8601 (UTC unless it says otherwise), or `2h` ago.

    Units are s, m, h, d and w. Raises `ValueError`.
    """
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"wanted a time like 2026-01-31T12:00Z, or 90m, 2h, 3d for ago; got {text!r}") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def add_resources(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add `--stack`, and an option for each of the resources bucket, function and table that are used."""
    parser.add_argument("--stack", help="the CloudFormation stack whose outputs name the resources")
    for name in names:
        parser.add_argument(f"--{name}", metavar="NAME", help=f"the {name}, instead of the stack's")


def aws_of(given: argparse.Namespace) -> StackResources:
    """Return the resources that the command line names."""
    names = ("stack", "bucket", "function", "table", "journal")
    return StackResources(NamedResources(**{name: getattr(given, name, None) for name in names}))


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the filters, all of which have to hold."""
    filters = parser.add_argument_group("filters, all of which have to hold")
    filters.add_argument(
        "--reason", action="append", default=[], help="a reason as `list` names it; may be given several times"
    )
    filters.add_argument("--entity", action="append", default=[], help="an entity type; may be given several times")
    filters.add_argument(
        "--since", metavar="TIME", help="stored for the first time at or after: 2026-01-31T12:00Z, or 2h for ago"
    )
    filters.add_argument("--until", metavar="TIME", help="stored for the first time before")
    filters.add_argument("--prefix", default="", help="how the object's key begins")


def selection_of(given: argparse.Namespace, now: float) -> Selection:
    """Return the selection that the filters describe. Raises `CommandError`."""
    try:
        since, until = (None if text is None else time_of(text, now) for text in (given.since, given.until))
    except ValueError as error:
        raise CommandError(str(error)) from None
    return Selection(
        reasons=frozenset(given.reason),
        entities=frozenset(given.entity),
        since=since,
        until=until,
        prefix=given.prefix,
        keys=frozenset(getattr(given, "keys", ())),
    )


def select(
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
        terminal.warn(f"left alone: {counted(len(unreadable.problems), 'object')} that cannot be read; see `list`")
    if not selected:
        terminal.warn(selection.nothing)
    return selected


def add_sending(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that invoke the worker."""
    parser.add_argument(
        "--batch-size", type=positive, default=100, metavar="N", help="records of an invocation (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=rate, default=200.0, metavar="N", help="records a second, 0 for no limit (default: 200)"
    )
    parser.add_argument(
        "--patience",
        type=positive,
        default=5,
        metavar="N",
        help="stop after so many failed records in a row (default: %(default)s)",
    )
    parser.add_argument(
        "--lease-seconds",
        type=lease_seconds,
        metavar="N",
        help="how long an invocation may take at most (default: the function's timeout and 5)",
    )
    add_break_lease(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option of all commands for programs."""
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object a line")


def add_break_lease(parser: argparse.ArgumentParser) -> None:
    """Add the option of commands that change the bucket."""
    parser.add_argument(
        "--break-lease",
        action="store_true",
        help="first remove the lease, whosever it is: only when nobody else is at work on the bucket",
    )


def lease_seconds(text: str) -> int:
    """Read how long an invocation may take at most."""
    seconds = positive(text)
    if seconds > LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"wanted at most {LONGEST_SECONDS:.0f}, got {text}: Lambda allows no more")
    return seconds


def positive(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return int(text)


def rate(text: str) -> float:
    """Read a number that is not below zero."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"wanted a number that is not below 0, got {text!r}")
    return number


_THREADS = 8
_LONGEST = 900.0
_SLACK = 30.0
_SPARE = 5.0


@dataclass(frozen=True, slots=True)
class NamedResources:
    """Names on the command line; None for those that the stack shall tell."""

    stack: str | None = None
    bucket: str | None = None
    function: str | None = None
    table: str | None = None
    journal: str | None = None


class StackResources:
    """Resources, looked up when they are asked for. Their clients share a session of boto3.

    Raises `CommandError` for a resource that neither the command line nor the stack names.
    """

    def __init__(self, given: NamedResources) -> None:
        """Take what the command line names."""
        self._given = given
        self._outputs: Mapping[str, str] | None = None
        self._session: Any = boto3.Session()  # Any: the stubs know only services that are named literally

    @property
    def bucket(self) -> str:
        """The failures bucket."""
        return self._given.bucket or self._output("FailuresBucketName", "--bucket")

    @property
    def function(self) -> str:
        """The worker's function."""
        return self._given.function or self._output("WorkerName", "--function")

    @property
    def table(self) -> str:
        """The table whose stream the worker reads."""
        return self._given.table or self._output("TableName", "--table")

    @property
    def journal(self) -> str:
        """The worker's journal."""
        return self._given.journal or self._output("JournalTableName", "--journal")

    def _output(self, name: str, option: str) -> str:
        if self._given.stack is None:
            raise CommandError(f"name the stack with --stack, or the resource with {option}")
        if self._outputs is None:
            self._outputs = _outputs(self.client("cloudformation"), self._given.stack)
        if name not in self._outputs:
            raise CommandError(f"the stack {self._given.stack} has no output {name}: name the resource with {option}")
        return self._outputs[name]

    def client(self, service: str, **settings: Any) -> Any:
        """Return a client of a service."""
        return self._session.client(service, config=Config(**settings))

    def s3(self, threads: int) -> Any:
        """Return an S3 client for some threads."""
        return self.client("s3", max_pool_connections=threads, retries={"mode": "standard", "total_max_attempts": 5})

    def failures_bucket(self) -> FailuresBucket:
        """Return the failures bucket, whose objects are read and moved side by side."""
        return FailuresBucket(self.s3(_THREADS), self.bucket, ThreadParallel(_THREADS))

    def timeout(self) -> float:
        """Return how many seconds an invocation may take at most, with some to spare."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=self.function)
        return float(configuration["Timeout"]) + _SPARE

    def invoker(self, ready: Callable[[], None], clock: Clock, connections: int = 1) -> Invoker:
        """Return what invokes the worker: it waits longer than any function may run, and never repeats a call."""
        client = self.client(
            "lambda",
            read_timeout=_LONGEST + _SLACK,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            max_pool_connections=connections,
        )
        return Invoker(client, self.function, ready, clock)


def _outputs(client: Any, stack: str) -> dict[str, str]:
    try:
        described = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            raise CommandError(f"there is no stack {stack} in {client.meta.region_name}") from None
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
