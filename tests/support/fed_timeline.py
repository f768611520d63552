"""A timeline of one shard, whose function comes to the outcomes that it is given."""

from __future__ import annotations

from typing import Any

from tablestream.local.cli.page.timeline import MOST_LINES, Timeline
from tablestream.local.cloud.witness import Sight
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, Invoke
from tablestream.local.delivery.shard import ShardDelivery
from tablestream.local.runtime.function import Invocation
from tablestream.local.trigger.observations import DeliveryStep, Ended, GivenUp, Read
from tablestream.testing import CREATED, inserted

SHARD = "shardId-00000001700000000000-abcdef01"
OK = Answered({"batchItemFailures": []})
FAILED = FunctionError("ValueError")


class FedTimeline:
    """Feeds a timeline; `sights` is what the function sends, `changes` what it changes in tables, by request."""

    def __init__(self, most: int = MOST_LINES, **settings: Any) -> None:
        self.sights: list[Sight] = []
        self.destination: str | None = None
        self.changes: dict[str, dict[str, int]] = {}
        self.timeline = Timeline({"M": "Fn"}, self._seen, lambda request: self.changes.pop(request, {}), most)
        self.delivery = ShardDelivery(MappingSettings(**settings), SHARD, "arn:aws:dynamodb:r:1:table/T/stream/x")
        self._number = 0

    def deliver(self, outcome: InvocationOutcome = OK, records: int = 1, sends: list[Sight] | None = None) -> None:
        numbers = range(self._number + 1, self._number + records + 1)
        self._number += records
        made = [inserted({"pk": str(n), "sk": "s"}, sequence_number=n, at=CREATED) for n in numbers]
        self.timeline(Read("M", SHARD, {str(n): CREATED for n in numbers}))
        self.delivery.offer(made, CREATED)
        for action in self.delivery.due(CREATED + 1):
            self._tell()
            if isinstance(action, Invoke):
                error = {"errorType": "ValueError", "errorMessage": "no"} if outcome is FAILED else None
                self.sights = sends or []
                invocation = Invocation(f"request-{action.id}", outcome, error, seconds=0.07, began=CREATED + 0.2)
                self.timeline(Ended("M", action, invocation, CREATED + 1))
                self.delivery.answered(action.id, outcome, CREATED + 1)
        for action in self.delivery.due(CREATED + 1):
            if not isinstance(action, Invoke):
                self.timeline(GivenUp("M", action, self.destination, CREATED + 1))
        self._tell()

    def _tell(self) -> None:
        for event in self.delivery.events():
            self.timeline(DeliveryStep("M", SHARD, event))

    def _seen(self) -> list[Sight]:
        seen, self.sights = self.sights, []
        return seen
