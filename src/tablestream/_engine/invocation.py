"""One invocation, from the event to the partial batch response.

event → records checked, routed, handled → lanes and waves → sinks in declared order → journal → answer
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tablestream._engine.intake import Consumer, HandlerCheck, Lanes, records_of
from tablestream._engine.waves import Poison, Task, Waves
from tablestream.change import RawRecord, creation_of, is_quiet_replay, is_sent_again
from tablestream.dead_letters import DeadLetters
from tablestream.errors import (
    ConfigurationError,
    JournalUnavailable,
    NoProgress,
    SystemicFailure,
    TablestreamError,
    error_class_of,
)
from tablestream.journal import Journal
from tablestream.report import RecordOutcome, RecordState, Report
from tablestream.run import LambdaContext, Run, margin_of
from tablestream.sink import name_of

logger = logging.getLogger("tablestream")

Response = dict[str, Any]
"""`batchItemFailures`; for an event that has them, also `state` (a tumbling window) and `deadLetters` (a report)."""

_LEAST_SECONDS = 0.5
"""The least time that the worker must have for its work, besides the margin."""

_JOURNAL_SHARE = 0.25
"""The part of the margin that is kept for the answer alone: the journal must be written before."""
_LEFT_BY_THE_JOURNAL = 0.5
"""The share of the time that reading the journal must leave: one that hangs delays only what needs it."""
_SEVERAL = 2

REPORT_MARKER = "tablestream"
"""The key of an event that asks for more in the answer: `{"Records": […], "tablestream": {"report": true}}`."""


SYSTEMIC_FLOOR = 10
"""The number of records of one handler from which on a majority of errors is taken for the code's fault."""
_LAST = 20
"""Records that are remembered of a handler that has raised: more than twice the floor would park more of them."""
_LAST_OF_SUSPECT = 1000
_PLACES_NAMED = 5


class SystemicCheck:
    """Fails the invocations of a broken handler instead of calling all its records poison.

    It remembers for as long as the execution environment lives. Of a handler that raises for every record at most ten
    are stored as dead letters, whatever the size of the batches. A function error makes Lambda halve the batch, and a
    few records alone look like bad records again: so a handler stays under suspicion until most of the records that it
    got meanwhile went well. A repaired deployment begins with a clean slate. What a handler refuses on purpose, as by
    `InvalidRecord`, is no evidence either way; an attribute that is missing is, as it may be misspelled.
    """

    def __init__(self) -> None:
        """Begin without a suspicion."""
        self._recent: dict[str, dict[str, bool]] = {}
        """For each handler that has raised: its last records by their keys, and whether it raised."""
        self._suspects: set[str] = set()

    def judge(self, tasks: Sequence[Task]) -> None:
        """Judge a batch; raises `SystemicFailure` when a handler raised not on purpose, and did so for most records."""
        raised = [task.poison for task in tasks if task.poison is not None and task.poison.suspicious]
        if not raised and not self._recent:
            return
        counts = {
            name: self._judge(name, outcomes, raised)
            for name, outcomes in _by_handler(tasks, {*self._recent, *[str(poison.handler) for poison in raised]})
        }
        guilty = {name: count for name, count in counts.items() if count is not None}
        if guilty:
            classes = {f"{poison.error_class} in {poison.handler} ({poison.where})" for poison in raised}
            errors, seen = max(guilty.values())
            raise SystemicFailure(
                f"handlers raised for {errors} of {seen} records, nothing was stored: "
                f"{', '.join(sorted(classes)[:_PLACES_NAMED])}"
            )

    def _judge(self, name: str, outcomes: Mapping[str, bool], raised: Sequence[Poison]) -> tuple[int, int] | None:
        """Judge a handler; return how many of how many records it raised for, when that is the code's fault."""
        seen = {**self._recent.pop(name, {}), **outcomes}
        errors = sum(seen.values())
        suspect = len(seen) >= SYSTEMIC_FLOOR and errors * 2 > len(seen)
        if suspect:
            self._suspects.add(name)
        else:
            self._suspects.discard(name)
        kept = dict(list(seen.items())[-(_LAST_OF_SUSPECT if suspect else _LAST) :])
        if any(kept.values()):
            self._recent[name] = kept
        now = any(poison.handler == name for poison in raised)
        return (errors, len(seen)) if suspect and now else None


def _by_handler(tasks: Sequence[Task], names: set[str]) -> Iterable[tuple[str, dict[str, bool]]]:
    """Return, for each of these handlers, whether it raised for its records of a batch, by their keys."""
    found: dict[str, dict[str, bool]] = {name: {} for name in names}
    for task in tasks:
        poison = task.poison
        for handler in [handler for route in task.routes for handler in route.handlers]:
            name = name_of(handler)
            failed = poison is not None and poison.handler == name
            if name in found and (poison is None or poison.suspicious or not failed):
                found[name][task.key] = failed
            if failed:
                break  # those behind it were not called
    return found.items()


class Invocations:
    """Processes the events of a consumer, one after the other, for the life of an execution environment."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        journal: Journal,
        dead_letters: DeadLetters,
        run: Run,
        margin_seconds: float | None,
        observe: Callable[[Report], None],
        check: HandlerCheck | None = None,
    ) -> None:
        """Take what `Worker` has put together; `check` judges batches instead of the systemic check."""
        self._consumer = consumer
        self._sinks = consumer.sinks
        self._check = check or SystemicCheck()
        self._journalled = frozenset([index for index, sink in enumerate(self._sinks) if not sink.idempotent])
        self._journal = journal
        self._waves = Waves(self._sinks, dead_letters)
        self._margin_seconds = margin_seconds
        self._run = run
        self._observe = observe

    def answer(self, event: object, context: LambdaContext | None) -> Response:
        """Process an event and return the partial batch response, or raise the error that the invocation ends with."""
        report, error = self.process(event, context)
        self._observe(report)
        _log(report)
        if error is not None:
            raise error
        return answer_of(event, report)

    def process(self, event: object, context: LambdaContext | None = None) -> tuple[Report, TablestreamError | None]:
        """Process an event and return what became of it, with the error that the invocation ends with, if any."""
        try:
            margin = self._margin_of(context)
            records = records_of(event)
            batch = self._consumer.take(records, self._check)
        except TablestreamError as refused:
            return Report(records=_length_of(event), counts={}, error_class=type(refused).__name__), refused
        tasks = batch.tasks
        run = self._run.within(context, margin)
        self._drop_notifications(batch.sent_by_hand)
        self._recall(tasks, run)
        self._waves.run(batch.heads, batch.queues, run)
        unsettled = [task for task in tasks if task.state is not RecordState.APPLIED]
        failed = [task for task in unsettled if task.state is not RecordState.POISONED]
        # Where nothing failed, only what is parked or was sent by hand can come again: spare the others the question.
        asked = tasks if failed else {*unsettled, *batch.sent_by_hand}
        journalled = self._remember(asked, failed, context, margin)
        error = _miswired(failed) or _no_progress(records, failed)
        return _report(records, batch, tasks, unsettled, journalled, error), error

    def _margin_of(self, context: LambdaContext | None) -> float:
        """Return the margin in seconds; raises `ConfigurationError` when it leaves no time to work."""
        if context is None:
            return 0.0
        left = context.get_remaining_time_in_millis() / 1000
        margin = margin_of(context, self._margin_seconds)
        if left < margin + _LEAST_SECONDS:
            raise ConfigurationError(
                f"wanted at least {_LEAST_SECONDS} s of work before the margin of {margin:.3g} s, got {left:.3g} s at "
                "the beginning of the invocation: set a longer Timeout of the function, or a smaller margin"
            )
        return margin

    def _drop_notifications(self, tasks: Sequence[Task]) -> None:
        """Drop the effects of replayed records that are not idempotent, unless the record asks for them."""
        for task in tasks:
            if is_quiet_replay(task.record):
                task.keep([at for at, sink in enumerate(task.sinks) if self._sinks[sink].idempotent])

    def _recall(self, tasks: Sequence[Task], run: Run) -> None:
        """Ask the journal, in one batched read, which effects that must not be repeated are done already."""
        journalled = self._journalled
        asked = {task.key: task for task in tasks if not journalled.isdisjoint(task.sinks)}
        if not asked:
            return
        found = self._journal.read(list(asked), run.less(_LEFT_BY_THE_JOURNAL))
        if len(found) == len(asked) and not any(found.values()):
            return
        for task in tasks:
            task.remembered = found.get(task.key)

    def _remember(
        self, tasks: Iterable[Task], failed: Sequence[Task], context: LambdaContext | None, margin: float
    ) -> int:
        """Journal the done effects of records that may come again; return how many, -1 when the journal was down."""
        checkpoint = min((task.sequence for task in failed), default=None)
        done = {
            task.key: names | (task.remembered or frozenset())
            for task in tasks
            if task.done > task.known and _may_come_again(task, checkpoint) and (names := task.done_names())
        }
        if not done:
            return 0
        try:
            self._journal.record(done, self._run.within(context, margin * _JOURNAL_SHARE))
        except JournalUnavailable as error:
            # The answer still has to be given: redelivery may then repeat these effects, which is better than losing
            # others.
            logger.error("journal unavailable", extra={"error_class": error_class_of(error.__cause__ or error)})  # noqa: TRY400 -- a traceback could quote personal data
            return -1
        return len(done)


def _may_come_again(task: Task, checkpoint: int | None) -> bool:
    """Tell whether a record that has had effects may be delivered again.

    Lambda does so above the checkpoint. An operator's tool may end before it could note what it has sent, and redrives
    a dead letter one of whose effects could be carried out and another could not.
    """
    above = checkpoint is not None and task.sequence >= checkpoint
    return above or task.state is RecordState.POISONED or is_sent_again(task.record)


def _length_of(event: object) -> int:
    records = event.get("Records") if isinstance(event, dict) else None
    return len(records) if isinstance(records, list) else 0


def answer_of(event: object, report: Report) -> Response:
    """Return the partial batch response, with what else the event asks for."""
    failures = [] if report.checkpoint is None else [{"itemIdentifier": report.checkpoint}]
    answer: Response = {"batchItemFailures": failures}
    if isinstance(event, dict):
        if "window" in event:
            # A tumbling window: without a state Lambda takes the invocation for a failed one. It is handed on as it is.
            answer["state"] = event.get("state") or {}
        asked = event.get(REPORT_MARKER)
        if isinstance(asked, dict) and asked.get("report") is True:
            answer["deadLetters"] = [
                {
                    "eventID": outcome.event_id,
                    "sequenceNumber": outcome.sequence_number,
                    "errorClass": outcome.error_class,
                    "key": outcome.dead_letter,
                }
                for outcome in report.outcomes
                if outcome.state is RecordState.POISONED
            ]
    return answer


def _miswired(failed: Sequence[Task]) -> ConfigurationError | None:
    """Return the mistake in the wiring that a sink has met, if one has."""
    return next((task.error for task in failed if isinstance(task.error, ConfigurationError)), None)


def _no_progress(records: Sequence[RawRecord], failed: Sequence[Task]) -> NoProgress | None:
    """Return the error to raise when the first record of a batch of several failed.

    Lambda halves a batch after a function error by documented rules; what it does after a partial response that names
    the first record is not documented.
    """
    if len(records) < _SEVERAL or not failed:
        return None
    first = min(int(record["dynamodb"]["SequenceNumber"]) for record in records)
    if min(task.sequence for task in failed) > first:
        return None
    causes = Counter(error_class_of(task.error) for task in failed if task.error is not None)
    named = ", ".join(f"{count} x {name}" for name, count in causes.most_common(5)) or "the deadline came"
    others = f"{len(failed) - 1} other{'' if len(failed) - 1 == 1 else 's'}"
    return NoProgress(f"the first of {len(records)} records failed, with {others}: {named}")


def _report(
    records: Sequence[RawRecord],
    batch: Lanes,
    tasks: Sequence[Task],
    unsettled: Sequence[Task],
    journalled: int,
    error: TablestreamError | None,
) -> Report:
    outcomes = tuple([task.record_outcome() for task in unsettled])
    counts = Counter([outcome.state for outcome in outcomes])
    counts[RecordState.APPLIED] = len(tasks) - len(outcomes)
    counts[RecordState.SKIPPED] = batch.skipped
    counts[RecordState.DUPLICATE] = batch.duplicates
    failed = [outcome.sequence_number for outcome in outcomes if outcome.state is not RecordState.POISONED]
    return Report(
        records=len(records),
        counts=counts,
        outcomes=outcomes,
        remembered=sum([task.known for task in tasks]),
        journalled=max(journalled, 0),
        checkpoint=min(failed, key=int, default=None),
        # The first that tells: records come in the order in which their changes were made.
        oldest_creation=next((at for record in records if (at := creation_of(record)) is not None), None),
        error_class=type(error).__name__ if error is not None else None,
    )


def _log(report: Report) -> None:
    """Write a line for each dead letter, for each cause of failure, for the batch; never a value of a record."""
    causes: dict[str, list[RecordOutcome]] = {}
    for outcome in report.outcomes:
        if outcome.state is RecordState.POISONED:
            logger.warning("dead letter stored", extra=_fields(outcome))
        elif outcome.state is RecordState.FAILED:
            causes.setdefault(outcome.error_class, []).append(outcome)
    for outcomes in causes.values():
        logger.warning("records failed", extra={**_fields(outcomes[0]), "records": len(outcomes)})
    level = logging.INFO if report.error_class is None else logging.ERROR
    counts = {state.value.replace(" ", "_"): count for state, count in report.counts.items() if count}
    fields = {"records": report.records, "checkpoint": report.checkpoint, "error_class": report.error_class, **counts}
    logger.log(level, "batch processed", extra=fields)


def _fields(outcome: RecordOutcome) -> dict[str, str]:
    fields = {"event_id": outcome.event_id, "key_hash": outcome.key_hash, "error_class": outcome.error_class}
    return {**fields, "where": outcome.where} if outcome.where else fields
