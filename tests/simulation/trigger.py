"""The event source mapping of one schedule: shards, invocations, on-failure destination. `delivery.shard` decides."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tablestream.local.delivery.mapping import DestinationKind, MappingSettings
from tablestream.local.delivery.protocol import (
    Answered,
    DiscardRecords,
    FunctionError,
    InvocationOutcome,
    Invoke,
    NotInvoked,
)
from tablestream.local.delivery.shard import ShardDelivery
from tests.simulation.aws import Aws
from tests.simulation.faults import OF_INVOCATION, Fault, Plan
from tests.simulation.invocation import Environments, Invocation, Record
from tests.simulation.scheduler import Scheduler
from tests.simulation.stream import STREAM_ARN

POLL_SECONDS = 0.25
Explain = Callable[[Iterable[str], str], None]


@dataclass(slots=True)
class Shard:
    """A shard on its way: what was read, and how long it has stood still."""

    delivery: ShardDelivery
    unread: list[Record] = field(default_factory=list)
    stands_since: float | None = None
    checkpoint: str | None = None
    pumped_at: float | None = None


class Trigger:
    """Reads the stream and invokes the function."""

    def __init__(
        self,
        scheduler: Scheduler,
        aws: Aws,
        plan: Plan,
        rng: random.Random,
        settings: MappingSettings,
        *,
        shards: int,
        environments: Environments,
        margin: float,
        doubled: Callable[[], bool],
        explain: Explain,
        ended: Callable[[Invocation], None],
    ) -> None:
        self._scheduler = scheduler
        self._aws = aws
        self._plan = plan
        self._random = rng
        self._settings = settings
        self._environments = environments
        self._margin = margin
        self._doubled = doubled
        self._explain = explain
        self._ended = ended
        self._shards = [Shard(ShardDelivery(settings, f"shard-{n}", STREAM_ARN)) for n in range(shards)]
        self.blocked = 0.0
        """The longest time that a shard with records did not move on, in seconds."""
        self.invocations = 0
        self.overruns = 0
        """Invocations that ran into the timeout though nothing hung."""
        self.discarded = 0

    def arrived(self, shard: int, record: Record) -> None:
        """Take a record of the stream; it is read with the next poll."""
        state = self._shards[shard]
        if not state.unread:
            # Real polls come 4 times a second; their phase is not known.
            self._scheduler.at(
                self._scheduler.now + self._random.uniform(0.02, POLL_SECONDS), partial(self._poll, state)
            )
        state.unread.append(record)

    def _poll(self, shard: Shard) -> None:
        records, shard.unread = shard.unread, []
        if shard.stands_since is None:
            shard.stands_since = self._scheduler.now
        shard.delivery.offer(records, self._scheduler.now)
        self._pump(shard)

    def _pump(self, shard: Shard) -> None:
        now = self._scheduler.now
        for action in shard.delivery.due(now):
            if isinstance(action, Invoke):
                self._invoke(shard, action)
            else:
                self._discard(action)
        shard.delivery.events()
        self._note_progress(shard)
        if shard.delivery.idle:
            shard.stands_since = None
        following = shard.delivery.next_due(now)
        if following is not None and (shard.pumped_at is None or not now < shard.pumped_at <= following):
            shard.pumped_at = max(following, now + 1e-6)
            self._scheduler.at(shard.pumped_at, partial(self._pump, shard))

    def _invoke(self, shard: Shard, action: Invoke) -> None:
        fault = self._plan.draw(OF_INVOCATION) or (Fault.TWICE if self._doubled() else None)
        answer = partial(self._answer, shard, action)
        event_ids = [record["eventID"] for record in action.records]
        if fault is Fault.NOT_STARTED:
            self._scheduler.at(self._scheduler.now + 0.05, partial(answer, NotInvoked()))
        elif fault is Fault.TWICE:
            self._explain(event_ids, "invoked twice")
            outcomes: list[InvocationOutcome] = []
            for _ in range(2):
                after = self._random.uniform(0, self._random.choice((0.01, 0.3)))
                self.start(action.records, partial(self._first_of_two, outcomes, answer), after)
        elif fault is Fault.LOST_ANSWER:
            self._explain(event_ids, "answer lost")
            self.start(action.records, lambda _outcome: answer(FunctionError("LostAnswer")))
        elif fault is Fault.LATE_TWICE:
            self.start(action.records, partial(self._again_later, action.records, answer))
        else:
            lasts = self._random.uniform(0, 0.15) if fault is Fault.OUT_OF_MEMORY else None
            self.start(action.records, answer, memory_lasts=lasts)

    def start(
        self,
        records: Sequence[Record],
        on_end: Callable[[InvocationOutcome], None],
        after: float | None = None,
        memory_lasts: float | None = None,
    ) -> None:
        """Begin an invocation."""
        self.invocations += 1
        event = {"Records": list(records)}
        invocation = Invocation(
            self._scheduler, self._environments, event, timeout=self._settings.function_timeout, margin=self._margin
        )

        def ended(outcome: InvocationOutcome) -> None:
            self.overruns += invocation.overran
            if invocation.dead:
                self._explain(invocation.event_ids, "crash")
            self._explain(invocation.unjournalled, "journal down")
            self._ended(invocation)
            on_end(outcome)

        invocation.start(self._random.uniform(0.002, 0.02) if after is None else after, ended, memory_lasts)

    def _first_of_two(
        self, outcomes: list[InvocationOutcome], answer: Callable[[InvocationOutcome], None], outcome: InvocationOutcome
    ) -> None:
        """The poller goes on with the answer of either, once both have ended."""
        outcomes.append(outcome)
        if len(outcomes) > 1:
            answer(self._random.choice(outcomes))

    def _again_later(
        self, records: Sequence[Record], answer: Callable[[InvocationOutcome], None], outcome: InvocationOutcome
    ) -> None:
        """After a success the same batch comes once more, much later; nobody waits for its answer."""
        if isinstance(outcome, Answered) and not (outcome.payload or {}).get("batchItemFailures"):
            self._explain([record["eventID"] for record in records], "invoked again later")
            self.start(records, lambda _outcome: None, self._random.uniform(0.5, 300))
        answer(outcome)

    def _answer(self, shard: Shard, action: Invoke, outcome: InvocationOutcome) -> None:
        now = self._scheduler.now
        shard.delivery.answered(action.id, outcome, now)
        self._note_progress(shard)
        self._scheduler.at(now, partial(self._pump, shard))

    def _note_progress(self, shard: Shard) -> None:
        if shard.delivery.checkpoint != shard.checkpoint and shard.stands_since is not None:
            self.blocked = max(self.blocked, self._scheduler.now - shard.stands_since)
            shard.stands_since = self._scheduler.now
            shard.checkpoint = shard.delivery.checkpoint

    def _discard(self, action: DiscardRecords) -> None:
        self.discarded += len(action.records)
        destination = self._settings.destination
        if destination is None:
            return
        batch = {"DDBStreamBatchInfo": {"batchSize": len(action.records)}, "condition": action.condition.value}
        if destination.kind is DestinationKind.S3:
            body: dict[str, Any] = {**batch, "payload": {"Records": list(action.records)}}
            key = f"aws/lambda/{action.shard_id}/{len(self._aws.bucket.objects)}-{self._scheduler.now}"
            self._aws.bucket.put_object(Key=key, Body=json.dumps(body))
        else:
            self._aws.queue.append({**batch, "eventIds": [record["eventID"] for record in action.records]})
