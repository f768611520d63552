"""A sink on the DynamoDB in memory, as docs/extending.md shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tablestream import DONE, Run
from tablestream.sinks import Counters, Increment
from tablestream.testing import FakeClock, client_error, effects
from tablestream.testing.dynamodb import Hook, MemoryDynamoDB


def throttling(times: int) -> Hook:
    left = [client_error("ThrottlingException")] * times

    def before(_operation: str, _request: Mapping[str, Any]) -> None:
        if left:
            raise left.pop()

    return before


def as_client(db: MemoryDynamoDB) -> Any:
    return db


def test_a_counter_counts_though_it_is_throttled() -> None:
    won = Increment({"pk": "won"}, leads=1)
    db = MemoryDynamoDB()
    db.create("lead-counts", "pk")
    db.before = throttling(times=2)  # the first calls are refused
    answers = Counters(table="lead-counts", client=as_client(db)).apply(effects(won, won), Run(clock=FakeClock()))
    assert answers == [DONE, DONE]
    assert db.tables["lead-counts"].items["won",]["leads"] == {"N": "2"}
