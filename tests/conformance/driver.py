"""Drives one `ShardDelivery` by hand: a clock, records by sequence number, and short forms of what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import (
    Answered,
    DeliveryAction,
    DeliveryEvent,
    DiscardRecords,
    FunctionError,
    InvocationOutcome,
    Invoke,
    LambdaRecord,
)
from tablestream.local.delivery.shard import ShardDelivery
from tablestream.testing import CREATED, Raw, inserted

SHARD = "shardId-00000001700000000000-abcdef01"
STREAM = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026-01-01T00:00:00.000"
SUCCESS = Answered({"batchItemFailures": []})
ERROR = FunctionError("ValueError")

E = TypeVar("E")
Function = Callable[[Invoke], InvocationOutcome]
Delivery = tuple[str, list[int], int]
"""("invoke", sequence numbers, attempt) or (condition, sequence numbers, invoke count)."""


def record(number: int, *, item: str | None = None, at: float = CREATED, text: str = "") -> LambdaRecord:
    """An insert of its own item unless one is named."""
    return inserted({"pk": item or f"P#{number}", "sk": "S", "text": Raw({"S": text})}, sequence_number=number, at=at)


def records(numbers: Iterable[int], *, at: float = CREATED) -> list[LambdaRecord]:
    return [record(number, at=at) for number in numbers]


def numbers(made: Sequence[LambdaRecord]) -> list[int]:
    return [int(one["dynamodb"]["SequenceNumber"]) for one in made]


def failing(*failed: int) -> Answered:
    """A partial answer."""
    return Answered({"batchItemFailures": [{"itemIdentifier": str(number)} for number in failed]})


def in_turn(*outcomes: InvocationOutcome) -> Function:
    """A function that comes to these outcomes, one after the other."""
    left = iter(outcomes)
    return lambda _: next(left)


class Shard:
    """One shard, its function, and everything that was done, in order."""

    def __init__(self, *, checkpoint: str | None = None, **settings: Any) -> None:
        self.now = CREATED
        self.delivery = ShardDelivery(MappingSettings(**settings), SHARD, STREAM, checkpoint=checkpoint)
        self.actions: list[DeliveryAction] = []
        self.history: list[DeliveryEvent] = []

    def offer(self, *made: int | LambdaRecord) -> None:
        self.delivery.offer([record(one) if isinstance(one, int) else one for one in made], self.now)

    def due(self) -> list[DeliveryAction]:
        actions = self.delivery.due(self.now)
        self.actions += actions
        return actions

    def invoke(self) -> Invoke:
        """The one invocation that is due."""
        (action,) = self.due()
        assert isinstance(action, Invoke)
        return action

    def answer(self, invoke: Invoke, outcome: InvocationOutcome) -> None:
        self.delivery.answered(invoke.id, outcome, self.now)

    def run(self, function: Function, *, most: int = 10_000) -> list[Delivery]:
        """Deliver until nothing is left to do, moving the clock on; returns all that was done since the beginning."""
        for _ in range(most):
            for action in self.due():
                if isinstance(action, Invoke):
                    self.answer(action, function(action))
            due_at = self.delivery.next_due(self.now)
            if due_at is None:
                return self.deliveries
            self.now = max(due_at, self.now)
        raise AssertionError(f"still not done after {most} rounds")

    # Methods, not properties: a type checker takes a property that was compared once for settled.
    def checkpoint(self) -> str | None:
        return self.delivery.checkpoint

    def finished(self) -> bool:
        return self.delivery.finished

    def has_room(self) -> bool:
        return self.delivery.room

    @property
    def deliveries(self) -> list[Delivery]:
        return [_short(action) for action in self.actions]

    @property
    def invocations(self) -> list[list[int]]:
        return [numbers(action.records) for action in self.actions if isinstance(action, Invoke)]

    @property
    def discards(self) -> list[DiscardRecords]:
        return [action for action in self.actions if isinstance(action, DiscardRecords)]

    def events(self, kind: type[E]) -> list[E]:
        """Events of a kind so far."""
        self.history += self.delivery.events()
        return [event for event in self.history if isinstance(event, kind)]


def _short(action: DeliveryAction) -> Delivery:
    if isinstance(action, Invoke):
        return "invoke", numbers(action.records), action.attempt
    return str(action.condition), numbers(action.records), action.invoke_count
