"""`Worker`: one invocation, from the event to the partial batch response.

validate the event → handlers → lanes and waves → sinks in declared order → journal → response
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from tablestream.batch import Batch, Task, prepare
from tablestream.change import RawRecord, creation_of, is_sent_again, is_silent
from tablestream.clock import Clock, Deadline, LambdaContext, SystemClock
from tablestream.dead_letters import DeadLetters
from tablestream.effects import Sink
from tablestream.errors import ConfigurationError, JournalUnavailable, NoProgress, TablestreamError
from tablestream.events import records_of
from tablestream.journal import Journal
from tablestream.report import Outcome, Report, Verdict
from tablestream.router import Router
from tablestream.systemic import Suspicion
from tablestream.waves import Waves

logger = logging.getLogger("tablestream")

Response = dict[str, list[dict[str, str]]]

DEFAULT_MARGIN_SECONDS = 5.0
"""What is kept back of Lambda's timeout for the journal, the answer and the call that is under way."""

_JOURNAL_SHARE = 0.25
"""The part of the margin that is kept for the answer alone: the journal must be written before."""
_SEVERAL = 2
_NOTHING: frozenset[str] = frozenset()


def _ignore(_report: Report) -> None:
    """Observe nothing."""


class Worker:
    """Delivers the changes of a batch: in order for each item, stopping for nothing but a failure of that item.

    Call it with Lambda's event and context; the event source mapping must have `ReportBatchItemFailures`.
    """

    def __init__(  # noqa: PLR0913 -- each is a seam or a setting; all but the first four have defaults
        self,
        router: Router,
        sinks: Sequence[Sink],
        *,
        journal: Journal,
        dead_letters: DeadLetters,
        table_name: str | None = None,
        margin_seconds: float = DEFAULT_MARGIN_SECONDS,
        clock: Clock | None = None,
        observe: Callable[[Report], None] = _ignore,
    ) -> None:
        """Put a worker together.

        `sinks` get their effects in this order. `table_name` is the only table whose records are taken, None for any.
        `margin_seconds` before Lambda's timeout the worker stops and answers. `observe` gets the report of each
        invocation, also of one that raises; it must not raise itself. Raises `ConfigurationError`.
        """
        self._router = router
        self._sinks = tuple(sinks)
        self._sink_of = _sink_of(self._sinks)
        self._journalled = frozenset([index for index, sink in enumerate(self._sinks) if not sink.idempotent])
        self._suspicion = Suspicion()
        self._journal = journal
        self._clock = clock or SystemClock()
        self._waves = Waves(self._sinks, dead_letters, self._clock)
        self._table_name = table_name
        self._margin_seconds = margin_seconds
        self._observe = observe

    def __call__(self, event: object, context: LambdaContext | None = None) -> Response:
        """Process an event and return the partial batch response.

        Raises `InvalidEvent` before any effect, `SystemicFailure` before any effect, and `NoProgress` when the first
        record of a batch of several failed.
        """
        report, error = self.process(event, context)
        self._observe(report)
        _log(report)
        if error is not None:
            raise error
        if report.checkpoint is None:
            return {"batchItemFailures": []}
        return {"batchItemFailures": [{"itemIdentifier": report.checkpoint}]}

    def process(self, event: object, context: LambdaContext | None = None) -> tuple[Report, TablestreamError | None]:
        """Process an event and return what became of it, with the error that the invocation ends with, if any."""
        try:
            records = records_of(event)
            batch = prepare(records, self._router, self._sink_of, self._suspicion, self._table_name)
        except TablestreamError as refused:
            return Report(records=_length_of(event), counts={}, error_class=type(refused).__name__), refused
        tasks = batch.tasks
        deadline = Deadline.of(context, self._margin_seconds)
        self._silence(batch.sent_by_hand)
        blank = self._recall(tasks, deadline)
        self._waves.run(batch.heads, batch.queues, deadline, blank=blank)
        applied = Outcome.APPLIED
        unsettled = [task for task in tasks if task.outcome is not applied]
        failed = [task for task in unsettled if task.outcome is not Outcome.POISONED]
        # Where nothing failed, only what is parked or was sent by hand can come again: spare the others the question.
        asked = tasks if failed else {*unsettled, *batch.sent_by_hand}
        journalled = self._remember(asked, failed, Deadline.of(context, self._margin_seconds * _JOURNAL_SHARE))
        remembered = 0 if blank else sum([len(task.remembered) for task in tasks if task.remembered])
        error = _no_progress(records, failed)
        return _report(records, batch, tasks, unsettled, remembered, journalled, error), error

    def _silence(self, tasks: Sequence[Task]) -> None:
        """Drop the effects of replayed records that are not idempotent, unless the record asks for them."""
        for task in tasks:
            if is_silent(task.record):
                task.effects = [(index, effect) for index, effect in task.effects if self._sinks[index].idempotent]

    def _recall(self, tasks: Sequence[Task], deadline: Deadline) -> bool:
        """Ask the journal, in one batched read, what is already done of the effects that are not idempotent.

        Return whether it answered for all records, and knows nothing of any.
        """
        journalled = self._journalled
        ids = [task.event_id for task in tasks for index, _ in task.effects if index in journalled]
        if not ids:
            return True
        asked = list(dict.fromkeys(ids))
        found = self._journal.read(asked, deadline)
        if len(found) == len(asked) and not any(found.values()):
            return True
        for task in tasks:
            task.remembered = found.get(task.event_id)
        return False

    def _remember(self, tasks: Iterable[Task], failed: Sequence[Task], deadline: Deadline) -> int:
        """Journal the done effects of records that may come again; return how many, -1 when the journal was down."""
        checkpoint = min((task.sequence for task in failed), default=None)
        done = {
            task.event_id: (task.remembered or _NOTHING) | fresh
            for task in tasks
            if _may_come_again(task, checkpoint)
            and (fresh := self._waves.done_of(task) - (task.remembered or _NOTHING))
        }
        if not done:
            return 0
        try:
            self._journal.record(done, deadline)
        except JournalUnavailable as error:
            # The answer still has to be given: redelivery may then repeat these effects, which is better than losing
            # others.
            logger.error("journal unavailable", extra={"error_class": type(error.__cause__ or error).__name__})  # noqa: TRY400 -- a traceback could quote personal data
            return -1
        return len(done)


def _sink_of(sinks: Sequence[Sink]) -> Mapping[type, int]:
    """Map each class of effects to the position of its sink."""
    names = Counter(sink.name for sink in sinks)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigurationError(f"wanted sinks with different names, got {', '.join(twice)} more than once")
    found: dict[type, int] = {}
    for index, sink in enumerate(sinks):
        for effect in sink.takes:
            if effect in found:
                raise ConfigurationError(
                    f"wanted one sink for {effect.__name__}, got {sinks[found[effect]].name} and {sink.name}"
                )
            found[effect] = index
    return found


def _may_come_again(task: Task, checkpoint: int | None) -> bool:
    """Tell whether a record that has had effects may be delivered again.

    Lambda does so above the checkpoint. An operator's tool may end before it could note what it has sent, and redrives
    a dead letter one of whose effects could be carried out and another could not.
    """
    above = checkpoint is not None and task.sequence >= checkpoint
    return above or task.outcome is Outcome.POISONED or is_sent_again(task.record)


def _length_of(event: object) -> int:
    records = event.get("Records") if isinstance(event, dict) else None
    return len(records) if isinstance(records, list) else 0


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
    causes = Counter(type(task.error).__name__ for task in failed if task.error is not None)
    named = ", ".join(f"{count} x {name}" for name, count in causes.most_common(5)) or "the deadline came"
    return NoProgress(f"the first of {len(records)} records failed, with {len(failed) - 1} others: {named}")


def _report(
    records: Sequence[RawRecord],
    batch: Batch,
    tasks: Sequence[Task],
    unsettled: Sequence[Task],
    remembered: int,
    journalled: int,
    error: TablestreamError | None,
) -> Report:
    verdicts = tuple([task.verdict() for task in unsettled])
    counts = Counter([verdict.outcome for verdict in verdicts])
    counts[Outcome.APPLIED] = len(tasks) - len(verdicts)
    counts[Outcome.SKIPPED] = batch.skipped
    counts[Outcome.DUPLICATE] = batch.duplicates
    failed = [verdict.sequence_number for verdict in verdicts if verdict.outcome is not Outcome.POISONED]
    return Report(
        records=len(records),
        counts=counts,
        verdicts=verdicts,
        remembered=remembered,
        journalled=max(journalled, 0),
        checkpoint=min(failed, key=int, default=None),
        # The first that tells: records come in the order in which their changes were made.
        oldest_creation=next((at for record in records if (at := creation_of(record)) is not None), None),
        error_class=type(error).__name__ if error is not None else None,
    )


def _log(report: Report) -> None:
    """Write a line for each dead letter, for each cause of failure, for the batch; never a value of a record."""
    causes: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        if verdict.outcome is Outcome.POISONED:
            logger.warning("dead letter stored", extra=_fields(verdict))
        elif verdict.outcome is Outcome.FAILED:
            causes.setdefault(verdict.error_class, []).append(verdict)
    for verdicts in causes.values():
        logger.warning("records failed", extra={**_fields(verdicts[0]), "records": len(verdicts)})
    level = logging.INFO if report.error_class is None else logging.ERROR
    counts = {outcome.value.replace(" ", "_"): count for outcome, count in report.counts.items() if count}
    fields = {"records": report.records, "checkpoint": report.checkpoint, "error_class": report.error_class, **counts}
    logger.log(level, "batch processed", extra=fields)


def _fields(verdict: Verdict) -> dict[str, str]:
    return {"event_id": verdict.event_id, "key_hash": verdict.key_hash, "error_class": verdict.error_class}
