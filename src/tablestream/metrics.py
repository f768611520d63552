"""Metrics of a worker, written as CloudWatch embedded metric format by Powertools, which has to be installed for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from tablestream.report import RecordState

if TYPE_CHECKING:
    from aws_lambda_powertools import Metrics

    from tablestream.report import Report
    from tablestream.run import Clock


class Metric(StrEnum):
    """The names. Counts are a sum over the invocation; a count of zero is published too, so that an alarm sees it."""

    RECORDS = "Records"
    """Records of the batch; each has one of the six outcomes that follow."""
    APPLIED = "RecordsApplied"
    SKIPPED = "RecordsSkipped"
    """Records that no handler wants: the trigger's filter should have kept them back."""
    DUPLICATE = "RecordsDuplicate"
    FAILED = "RecordsFailed"
    """Records with an effect that failed for now; Lambda delivers them again."""
    HELD_BACK = "RecordsHeldBack"
    """Records behind a failed change of their item, or behind the deadline; Lambda delivers them again."""
    DEAD_LETTERS = "DeadLetters"
    """Records stored as dead letters. Watch this one: somebody has to look at each of them."""
    INVOCATION_ERRORS = "InvocationErrors"
    """Invocations that ended with an error: no progress, a systemic failure, or an event that is none of ours."""
    ITERATOR_AGE = "OldestRecordAge"
    """Milliseconds from the oldest change of the batch to now. Watch this one: it grows when a shard is stuck."""
    JOURNALLED = "RecordsJournalled"
    """Records whose done effects were remembered, as they will be delivered again."""


_STATES = {
    RecordState.APPLIED: Metric.APPLIED,
    RecordState.SKIPPED: Metric.SKIPPED,
    RecordState.DUPLICATE: Metric.DUPLICATE,
    RecordState.FAILED: Metric.FAILED,
    RecordState.HELD_BACK: Metric.HELD_BACK,
    RecordState.POISONED: Metric.DEAD_LETTERS,
}


class Recorder:
    """Turns a worker's reports into metrics, summed up for each invocation: `Worker(observe=recorder.report)`."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        """Take Powertools' metrics; the clock tells how old a record is."""
        self._metrics = metrics
        self._clock = clock
        self._counts: Counter[str] = Counter()

    def report(self, report: Report) -> None:
        """Record an invocation."""
        self._count(Metric.RECORDS, report.records)
        for state, metric in _STATES.items():
            self._count(metric, report.counts.get(state, 0))
        self._count(Metric.INVOCATION_ERRORS, int(report.error_class is not None))
        self._count(Metric.JOURNALLED, report.journalled)
        if report.oldest_creation is not None:
            age = max(0.0, self._clock.now() - report.oldest_creation)
            self._metrics.add_metric(Metric.ITERATOR_AGE, MetricUnit.Milliseconds, age * 1000)

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts of one's own, by the names of their metrics."""
        self._counts.update(counts)

    def flush(self) -> None:
        """Write out what has been recorded, if anything has."""
        if self._counts:
            for metric, value in self._counts.items():
                self._metrics.add_metric(metric, MetricUnit.Count, value)
            self._counts.clear()
            self._metrics.flush_metrics()

    def _count(self, metric: Metric, value: int) -> None:
        self._counts[metric] += value
