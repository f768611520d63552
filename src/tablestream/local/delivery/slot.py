"""One slot of a shard: one batch in flight, its retries, halves and ages (rules 7, 13 to 23, 33).

A shard has ParallelizationFactor slots, and every item always goes to the same one. A slot works on a stack of
batches: the top is in flight or waits for its next attempt; a half or a remainder goes on top of what comes after it,
so records of a slot never overtake each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tablestream.local.delivery.batch import (
    BatchBuffer,
    BatchFailed,
    BatchFailedFrom,
    BatchNotStarted,
    BatchSucceeded,
    Checkpoint,
    DeliveryBatch,
    QueuedRecord,
    TumblingWindow,
    read_outcome,
)
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import (
    Advanced,
    Condition,
    Delivered,
    DeliveryAction,
    DeliveryEvent,
    Discarded,
    DiscardRecords,
    Gathered,
    InvocationOutcome,
    Invoke,
    Invoked,
    Retried,
    Split,
    WindowEnded,
)


class SlotContext:
    """The state that all slots of a shard share: name, settings, checkpoint, and the sources of events and ids."""

    __slots__ = ("checkpoint", "emit", "next_id", "settings", "shard_id", "stream_arn")

    def __init__(
        self,
        settings: MappingSettings,
        shard_id: str,
        stream_arn: str,
        checkpoint: Checkpoint,
        emit: Callable[[DeliveryEvent], None],
        next_id: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.shard_id = shard_id
        self.stream_arn = stream_arn
        self.checkpoint = checkpoint
        self.emit = emit
        self.next_id = next_id


class Slot:
    """The state of one slot. Mutable: it is the state machine."""

    __slots__ = ("_context", "_not_before", "_work", "buffer", "flying", "number", "window")

    def __init__(self, number: int, context: SlotContext) -> None:
        self.number = number
        self._context = context
        self.buffer = BatchBuffer(context.settings)
        self.window: TumblingWindow | None = None
        self.flying: int | None = None
        self._work: list[DeliveryBatch] = []
        self._not_before = 0.0

    @property
    def idle(self) -> bool:
        """Nothing gathered, in flight or to retry, and no window open."""
        return not self._work and not len(self.buffer) and self.window is None

    @property
    def gathered(self) -> Gathered | None:
        """The records that are in no batch yet, if there are any."""
        count = len(self.buffer)
        return (
            Gathered(self.number, count, None if self._work else self.buffer.ready_at(self.window)) if count else None
        )

    def due(self, now: float) -> list[DeliveryAction]:
        """Return the actions to carry out now, in order."""
        actions: list[DeliveryAction] = []
        while self.flying is None and self._prepare(now):
            batch = self._work[-1]
            if batch.exhausted:
                actions += self._give_up(batch, now)
                continue
            actions += self._drop_expired(batch, now)
            if batch.entries or batch.is_final:
                actions.append(self._invoke(batch, now))
            else:
                self._work.pop()
        return actions

    def next_due(self, now: float) -> float | None:
        """The time at which `due` has something to say, if nothing is answered or offered before then."""
        if self.flying is not None:
            return None
        if self._work:
            return max(self._not_before, now)
        self._open_window()
        times = [time for time in (self.buffer.ready_at(self.window), self._window_ends_at()) if time is not None]
        return max(min(times), now) if times else None

    def answered(self, outcome: InvocationOutcome, now: float) -> None:
        """Take the outcome of the invocation in flight."""
        self.flying = None
        batch = self._work[-1]
        settings = self._context.settings
        numbers = [entry.sequence_number for entry in batch.entries]
        verdict = read_outcome(
            outcome, numbers, report_failures=settings.report_failures, windowed=self.window is not None
        )
        match verdict:
            case BatchSucceeded(state):
                self._keep(state)
                self._succeed(batch, now)
            case BatchFailedFrom(index, state) if index > 0:
                self._keep(state)
                self._advance(batch, index, now)
            case BatchFailedFrom():
                self._fail(batch, "NoProgress", None, now)
            case BatchFailed(reason, function_error):
                self._fail(batch, reason, function_error, now)
            case BatchNotStarted(reason):
                batch.throttles += 1
                self._retry(batch, settings.backoff(batch.throttles), reason, now)

    def _prepare(self, now: float) -> bool:
        """Whether the top of the stack may go now; cuts the next batch when the stack is empty."""
        if self._work:
            return now >= self._not_before
        self._open_window()
        ends_at = self._window_ends_at()
        if ends_at is not None and ends_at <= now:
            self._work.append(DeliveryBatch((), is_final=True))
            return True
        ready_at = self.buffer.ready_at(self.window)
        if ready_at is None or ready_at > now:
            return False
        self._work.append(self.buffer.cut(self.window))
        return True

    def _open_window(self) -> None:
        head = self.buffer.head
        length = self._context.settings.tumbling_window
        if length and self.window is None and head is not None:
            self.window = TumblingWindow(head.created, length)

    def _window_ends_at(self) -> float | None:
        """The end of the open window: at once if it ended early, has a successor or the shard is closed."""
        if self.window is None:
            return None
        head = self.buffer.head
        if self.window.ended_early or (head is not None and not self.window.holds(head.created)):
            return 0.0
        if head is not None:
            return None
        return 0.0 if self.buffer.closed else self.window.end + self._context.settings.window_grace

    def _drop_expired(self, batch: DeliveryBatch, now: float) -> list[DeliveryAction]:
        """Rule 22 (R, Kinesis): before each attempt the expired prefix goes, as one message.

        Without an age limit Lambda retries until the stream's retention ends (D). That it loses what it was retrying
        then, and sends no message, is inferred (I).
        """
        settings = self._context.settings
        limit, condition = settings.max_age, Condition.RECORD_AGE_EXCEEDED
        if not 0 <= limit <= settings.retention:
            limit, condition = settings.retention, Condition.RECORDS_TRIMMED
        expired = batch.take_expired(now - limit)
        return [self._discard(expired, condition, batch, now)] if expired else []

    def _give_up(self, batch: DeliveryBatch, now: float) -> list[DeliveryAction]:
        """Rule 17 (P): all that is left of the batch. A window's final invocation has no records to send (I)."""
        self._work.pop()
        if batch.is_final:
            self._end_window(lost=True, now=now)
            return []
        return [self._discard(batch.entries, Condition.RETRY_ATTEMPTS_EXHAUSTED, batch, now)]

    def _discard(
        self, entries: tuple[QueuedRecord, ...], condition: Condition, batch: DeliveryBatch, now: float
    ) -> DiscardRecords:
        context = self._context
        context.checkpoint.finish(entries)
        first, last = entries[0].sequence_number, entries[-1].sequence_number
        context.emit(Discarded(self.number, len(entries), condition, batch.failures, first, last, now))
        return DiscardRecords(
            slot=self.number,
            records=tuple(entry.record for entry in entries),
            condition=condition,
            invoke_count=batch.failures,
            invoke_id=batch.invoke_id,
            function_error=batch.function_error,
            shard_id=context.shard_id,
            stream_arn=context.stream_arn,
        )

    def _invoke(self, batch: DeliveryBatch, now: float) -> Invoke:
        context = self._context
        if batch.first_attempt_at is None:
            batch.first_attempt_at = now
        self.flying = context.next_id()
        batch.invoke_id = self.flying
        context.emit(
            Invoked(
                self.number, self.flying, len(batch.entries), batch.failures, batch.first, batch.last, batch.oldest, now
            )
        )
        return Invoke(
            id=self.flying,
            slot=self.number,
            records=batch.records(),
            attempt=batch.failures,
            first_attempt_at=batch.first_attempt_at,
            shard_id=context.shard_id,
            stream_arn=context.stream_arn,
            window=self.window.context(is_final=batch.is_final) if self.window is not None else None,
        )

    def _keep(self, state: Mapping[str, Any] | None) -> None:
        if self.window is not None and state is not None:
            self.window.keep(state)

    def _succeed(self, batch: DeliveryBatch, now: float) -> None:
        self._work.pop()
        self._not_before = now
        self._context.checkpoint.finish(batch.entries)
        self._context.emit(Delivered(self.number, _id(batch), len(batch.entries), batch.first, batch.last, now))
        if batch.is_final:
            self._end_window(lost=False, now=now)

    def _advance(self, batch: DeliveryBatch, index: int, now: float) -> None:
        """Rules 13, 14 (R), 20 (D): the rest is a batch of its own at attempt 0. That it goes at once is I."""
        done, rest = batch.entries[:index], DeliveryBatch(batch.entries[index:])
        self._work[-1] = rest
        self._not_before = now
        self._context.checkpoint.finish(done)
        resume_at = rest.entries[0].sequence_number
        self._context.emit(Advanced(self.number, _id(batch), index, len(rest.entries), resume_at, now))

    def _fail(self, batch: DeliveryBatch, reason: str, function_error: str | None, now: float) -> None:
        settings = self._context.settings
        batch.throttles = 0
        if settings.bisect and len(batch.entries) > 1:
            self._split(batch, reason, now)
            return
        batch.failures += 1
        batch.function_error = function_error
        if 0 <= settings.max_retries < batch.failures:
            batch.exhausted = True
            self._not_before = now
            return
        self._retry(batch, settings.backoff(batch.failures), reason, now)

    def _split(self, batch: DeliveryBatch, reason: str, now: float) -> None:
        """Rule 19: no attempt used (D, P); first half first, each at attempt 0, and without a wait (I)."""
        first, second = batch.halves()
        self._work[-1:] = [second, first]
        self._not_before = now
        self._context.emit(Split(self.number, _id(batch), len(first.entries), len(second.entries), reason, now))

    def _retry(self, batch: DeliveryBatch, wait: float, reason: str, now: float) -> None:
        self._not_before = now + wait
        self._context.emit(Retried(self.number, _id(batch), len(batch.entries), batch.failures, wait, reason, now))

    def _end_window(self, *, lost: bool, now: float) -> None:
        window = self.window
        if window is None:
            return
        self.window = None
        self._context.emit(WindowEnded(self.number, window.start, window.end, window.ended_early, lost, now))


def _id(batch: DeliveryBatch) -> int:
    """The id of the batch's last invocation; there is one whenever an outcome is read."""
    if batch.invoke_id is None:
        raise ValueError("the batch was never invoked")
    return batch.invoke_id
