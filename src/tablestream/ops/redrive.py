"""`tablestream redrive run`: sends the records of the failures bucket, in order, and settles the objects as it goes.

There is no state beside the bucket: what is settled has been moved away, so whoever runs the tool again goes on.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tablestream.change import RawRecord
from tablestream.dead_letters import iso
from tablestream.ops.arguments import Selection, aws_of, select, selection_of
from tablestream.ops.bucket import FailuresBucket, Lease, owner
from tablestream.ops.invoking import RateLimit, Ready, WatchfulClock, proven, rate_limited
from tablestream.ops.planning import (
    FailureKind,
    FailureObject,
    Identity,
    Plan,
    PlannedObject,
    PlannedRecord,
    Planner,
    batches,
    identity_of,
    marked,
    read_failure,
)
from tablestream.ops.sending import PendingRecord, Sender, SendOutcome, Tally, concluded, told
from tablestream.ops.terminal import ExitStatus, Interrupt, Terminal, counted, interruptible
from tablestream.report import RecordState
from tablestream.run import Clock, SystemClock, chunks

DEFAULT_BATCH = 100
REDRIVEN = "redriven/"
_TOGETHER = 4
"""Objects held in memory: on-failure records have up to 6 MB, and neighbours in the order often lie in one."""
_CLOCK = SystemClock()


@dataclass(slots=True)
class Redrive:
    """Carries out one plan. Mutable: it keeps what it has read last."""

    bucket: FailuresBucket
    plan: Plan
    sender: Sender
    tally: Tally
    clock: Clock
    noted: Callable[[SendOutcome | None], None]
    """Called with the outcome of each record; None for one that is gone."""
    batch_size: int = DEFAULT_BATCH
    _recent: dict[str, FailureObject] = field(default_factory=dict)

    def run(self) -> None:
        """Send batch by batch. Raises `StoppedError`; also then everything known is settled."""
        try:
            for batch in batches(self.plan.records, self.batch_size):
                self._carry_out(batch)
                self._settle([one for one in self._objects(batch) if not one.waiting])
        finally:
            self._settle(self.plan.objects.values())

    def _carry_out(self, batch: Sequence[PlannedRecord]) -> None:
        by_identity = {record.identity: record for record in batch}
        records = self._payloads(batch)
        for record in batch:
            if record.identity not in records:
                self._gone(record)
        pending = [
            PendingRecord(marked(records[record.identity], record.first_time), record.item)
            for record in batch
            if record.identity in records
        ]
        self.sender.send(pending, lambda outcome: self._note(by_identity[outcome.pending.identity], outcome))

    def _payloads(self, batch: Sequence[PlannedRecord]) -> dict[Identity, RawRecord]:
        """Return the records of a batch as they lie in the bucket, less those that do no longer."""
        found: dict[Identity, RawRecord] = {}
        turn = 0
        while wanted := [e for e in batch if e.identity not in found and len(e.places) > turn]:
            keys = list(dict.fromkeys(record.places[turn][0] for record in wanted))
            for part in chunks(keys, _TOGETHER):
                failure = self._fetch(part)
                for record in wanted:
                    key, position = record.places[turn]
                    if key in failure:
                        found[record.identity] = failure[key].records[position]
            turn += 1
        return found

    def _fetch(self, keys: Sequence[str]) -> dict[str, FailureObject]:
        """Return the objects with these keys, less those that have changed since the plan was made."""
        missing = [key for key in keys if key not in self._recent]
        etags = [self.plan.objects[key].etag for key in missing]
        stored = self.bucket.parallel.run([partial(self.bucket.read, *one) for one in zip(missing, etags, strict=True)])
        fetched = {one.key: read_failure(one) for one in stored if one is not None}
        known = {key: self._recent[key] for key in keys if key in self._recent}
        for key, failure in fetched.items():
            if failure.kind is FailureKind.ON_FAILURE_RECORD:
                self._recent[key] = failure
        while len(self._recent) > _TOGETHER:
            del self._recent[next(iter(self._recent))]
        return known | fetched

    def _gone(self, record: PlannedRecord) -> None:
        self.tally.add("gone", 1)
        for key, position in record.places:
            self.plan.objects[key].waiting.discard(position)
        self.noted(None)

    def _note(self, record: PlannedRecord, outcome: SendOutcome) -> None:
        for key, position in record.places:
            planned = self.plan.objects[key]
            planned.waiting.discard(position)
            if outcome.state is RecordState.FAILED:
                planned.failed[position] = (outcome.error, outcome.detail)
            elif outcome.state is RecordState.APPLIED or (outcome.state is RecordState.POISONED and outcome.key != key):
                planned.settled.add(position)  # a dead letter that the worker has replaced stays, with the new reason
        self.noted(outcome)

    def _objects(self, batch: Sequence[PlannedRecord]) -> list[PlannedObject]:
        keys = dict.fromkeys(key for record in batch for key, _ in record.places)
        return [self.plan.objects[key] for key in keys]

    def _settle(self, objects: Iterable[PlannedObject]) -> None:
        """Bring objects up to date, each once."""
        open_ones = [one for one in objects if not one.closed and (one.settled or one.failed)]
        self.bucket.parallel.run([partial(update_object, self.bucket, one, self.clock.now()) for one in open_ones])
        for one in open_ones:
            one.closed = True
            self._recent.pop(one.key, None)


def update_object(bucket: FailuresBucket, planned: PlannedObject, now: float) -> None:
    """Bring an object up to date with what is known of its records: move what is settled, note why the rest failed.

    Everything is written before anything is deleted, and each step can be done again: a tool that is killed anywhere
    leaves objects whose records are sent once more, which repeats no effect. An object that somebody else has changed
    meanwhile stays as it is.
    """
    if len(planned.settled) == planned.total:
        bucket.move(planned.key, planned.etag, REDRIVEN)
        return
    stored = bucket.read(planned.key, planned.etag)
    if stored is None:
        return
    failure = read_failure(stored)
    done = [record for position, record in enumerate(failure.records) if position in planned.settled]
    rest = [record for position, record in enumerate(failure.records) if position not in planned.settled]
    if done:
        names = "".join(identity_of(record)[0] for record in done)
        part = hashlib.sha256(names.encode()).hexdigest()[:12]
        bucket.write(f"{REDRIVEN}{planned.key}.{part}", failure.with_records(done))
    bucket.write(planned.key, failure.with_records(rest, **_note(planned, now)), etag=planned.etag)


def _note(planned: PlannedObject, now: float) -> dict[str, Any]:
    if not planned.failed:
        return {}
    error, detail = next(iter(planned.failed.values()))
    return {"redrive": {"time": iso(now), "error": error, "detail": detail, "records": len(planned.failed)}}


def run(given: argparse.Namespace, terminal: Terminal) -> ExitStatus:
    """Redrive what is selected."""
    aws = aws_of(given)
    bucket, function = aws.failures_bucket(), aws.function
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
    select(bucket, selection, terminal, planner.add, interrupt)
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
            f"{counted(len(plan.records), 'record')} of {counted(items, 'item')} in "
            f"{counted(len(plan.objects), 'object')}: {counted(count, 'batch', 'batches')} to {function}"
        )
    if plan.waiting:
        terminal.say(
            f"{counted(plan.waiting, 'record')} must wait: an earlier change of the item is here and not selected. "
            "Select that as well, discard it, or say --out-of-order"
        )


def _sum_up(tally: Tally, terminal: Terminal) -> None:
    if tally.applied:
        terminal.say(f"{counted(tally.applied, 'record')} applied; now under redriven/")
    if tally.poison:
        terminal.say(f"{counted(tally.poison, 'record')} poison again; the new reason is in the dead letter of each")
    for error, count in sorted(tally.failed.items()):
        terminal.say(f"{counted(count, 'record')} failed: {error}")
    if tally.held_back:
        terminal.say(f"{counted(tally.held_back, 'record')} held back behind a failed change of the same item")
    if tally.gone:
        terminal.say(f"{counted(tally.gone, 'record')} had been moved or replaced meanwhile")
