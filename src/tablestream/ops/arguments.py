"""What the commands have in common on the command line."""

from __future__ import annotations

import argparse
import math

from tablestream.ops.aws import Aws, Given
from tablestream.ops.lease import LONGEST_SECONDS
from tablestream.ops.selection import Selection, time_of
from tablestream.ops.terminal import UsageError


def add_resources(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add `--stack`, and an option for each of the resources bucket, function and table that are used."""
    parser.add_argument("--stack", help="the CloudFormation stack whose outputs name the resources")
    for name in names:
        parser.add_argument(f"--{name}", metavar="NAME", help=f"the {name}, instead of the stack's")


def aws_of(given: argparse.Namespace) -> Aws:
    """Return the resources that the command line names."""
    names = ("stack", "bucket", "function", "table")
    return Aws(Given(**{name: getattr(given, name, None) for name in names}))


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the filters, all of which have to hold."""
    filters = parser.add_argument_group("filters, all of which have to hold")
    filters.add_argument(
        "--reason", action="append", default=[], help="a reason as `list` names it; may be given several times"
    )
    filters.add_argument("--entity", action="append", default=[], help="an entity type; may be given several times")
    filters.add_argument(
        "--since", metavar="TIME", help="set aside, for the first time, at or after: 2026-01-31T12:00Z, or 2h for ago"
    )
    filters.add_argument("--until", metavar="TIME", help="set aside before")
    filters.add_argument("--prefix", default="", help="how the object's key begins")


def selection_of(given: argparse.Namespace, now: float) -> Selection:
    """Return the selection that the filters describe. Raises `UsageError`."""
    try:
        since, until = (None if text is None else time_of(text, now) for text in (given.since, given.until))
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Selection(
        reasons=frozenset(given.reason),
        entities=frozenset(given.entity),
        since=since,
        until=until,
        prefix=given.prefix,
        keys=frozenset(getattr(given, "keys", ())),
    )


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
