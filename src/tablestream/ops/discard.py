"""`tablestream redrive discard`: moves objects of the failures bucket aside for good, and logs it."""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

from tablestream.dead_letters import iso
from tablestream.ops.arguments import aws_of, select, selection_of
from tablestream.ops.bucket import FailuresBucket, Lease, owner
from tablestream.ops.invoking import Ready
from tablestream.ops.planning import FailureObject
from tablestream.ops.sending import Tally, concluded
from tablestream.ops.terminal import ExitStatus, Interrupt, Terminal, counted, interruptible
from tablestream.run import SystemClock, chunks

DISCARDED = "discarded/"
_MOVED_TOGETHER = 100
_DISCARD_SECONDS = 120.0
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class ToDiscard:
    """An object to be discarded."""

    key: str
    etag: str
    kind: str
    reason: str
    records: int

    @classmethod
    def of(cls, failure: FailureObject) -> ToDiscard:
        """Return what is needed of an object."""
        return cls(failure.key, failure.etag, failure.kind.value, failure.reason, len(failure.records))


def discard(
    bucket: FailuresBucket, objects: Sequence[ToDiscard], note: Mapping[str, str], now: float
) -> Iterator[Sequence[ToDiscard]]:
    """Move objects to `discarded/`, less those that somebody has changed meanwhile; yield those that were, by hundreds.

    First a log is written, with the time, the note and the objects: what is moved is in it even if the tool is killed.
    """
    log = {"time": iso(now), **note, "objects": [asdict(one) for one in objects]}
    at = datetime.fromtimestamp(now, UTC)
    key = f"{DISCARDED}log/{at:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}.json"
    bucket.write(key, json.dumps(log, indent=1).encode(), new=True)
    for part in chunks(objects, _MOVED_TOGETHER):
        done = bucket.parallel.run([partial(bucket.move, one.key, one.etag, DISCARDED) for one in part])
        yield [one for one, moved in zip(part, done, strict=True) if moved]


def discarded(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Move what is selected to `discarded/`."""
    bucket = aws_of(given).failures_bucket()
    selection = selection_of(given, _CLOCK.now())
    chosen: list[ToDiscard] = []

    def take(failure: FailureObject, *, selected: bool) -> None:
        if selected:
            chosen.append(ToDiscard.of(failure))

    select(bucket, selection, terminal, take, Interrupt())
    tally = Tally()
    records = sum(one.records for one in chosen)
    question = (
        f"Discard {counted(len(chosen), 'object')} with {counted(records, 'record')}? They will not be redriven. [y/N] "
    )
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
        terminal.say(f"{counted(tally.discarded, 'record')} moved to discarded/; the log is under discarded/log/")
    else:
        terminal.say("nothing discarded")
