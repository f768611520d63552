"""What holds under every schedule, whatever the settings: nothing lost, nothing finished twice, order kept."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import (
    Answered,
    DiscardRecords,
    InvocationOutcome,
    Invoke,
    NotInvoked,
    TimedOut,
)
from tablestream.local.delivery.shard import ShardDelivery
from tablestream.testing import CREATED
from tests.conformance.driver import ERROR, SHARD, STREAM, failing, numbers, record

SETTINGS = st.builds(
    MappingSettings,
    batch_size=st.integers(1, 7),
    batching_window=st.sampled_from([0, 3]),
    parallelization=st.integers(1, 4),
    max_retries=st.integers(0, 3),
    max_age=st.sampled_from([-1, 60]),
    bisect=st.booleans(),
    report_failures=st.booleans(),
    filters=st.sampled_from([(), ('{"dynamodb": {"Keys": {"pk": {"S": [{"anything-but": "I#0"}]}}}}',)]),
)
MAPPINGS = st.one_of(SETTINGS, SETTINGS.map(lambda settings: replace(settings, parallelization=1, tumbling_window=5)))
ITEMS = 5
RECORDS = 40


class Schedule:
    """One random run: offers, waits and answers in any order."""

    def __init__(self, mapping: MappingSettings, choice: random.Random) -> None:
        self.mapping = mapping
        self.choice = choice
        self.delivery = ShardDelivery(mapping, SHARD, STREAM)
        self.now = CREATED
        self.to_offer = [(number, f"I#{choice.randrange(ITEMS)}") for number in range(1, RECORDS + 1)]
        self.items = dict(self.to_offer)
        self.offered: list[int] = []
        self.flying: list[Invoke] = []
        self.finished: list[int] = []
        self.attempts: Counter[tuple[int, ...]] = Counter()

    def run(self) -> None:
        while self.to_offer or self.flying or not self.delivery.idle:
            step = self.choice.choice([self.offer, self.answer, self.answer, self.wait])
            step()
            self.take_due()
            self.check()
            if not self.to_offer:
                self.delivery.close()

    def offer(self) -> None:
        if not self.to_offer:
            return
        page, self.to_offer = self.to_offer[:4], self.to_offer[4:]
        self.delivery.offer([record(number, item=item, at=self.now) for number, item in page], self.now)
        self.offered += [number for number, _ in page]

    def wait(self) -> None:
        self.now += self.choice.choice([0.1, 1, 10])

    def take_due(self) -> None:
        for action in self.delivery.due(self.now):
            if isinstance(action, DiscardRecords):
                self.finished += numbers(action.records)
            else:
                self.flying.append(action)

    def answer(self) -> None:
        if not self.flying:
            return
        invoke = self.flying.pop(self.choice.randrange(len(self.flying)))
        outcome, done = self.outcome(numbers(invoke.records))
        self.finished += done
        if not isinstance(outcome, NotInvoked) and invoke.records:
            self.attempts[tuple(numbers(invoke.records))] += 1
        self.delivery.answered(invoke.id, outcome, self.now)

    def outcome(self, got: list[int]) -> tuple[InvocationOutcome, list[int]]:
        """Any outcome, and which records it finishes."""
        kind = self.choice.random()
        if kind < 0.15:
            return ERROR, []
        if kind < 0.2:
            return TimedOut(), []
        if kind < 0.3:
            return NotInvoked(), []
        if kind < 0.6 and got and self.mapping.report_failures:
            index = self.choice.randrange(len(got))
            partial = failing(*got[index:])
            return Answered({**partial.payload, "state": {}}), got[:index]
        return Answered({"state": {}}), got

    def check(self) -> None:
        slots = [invoke.slot for invoke in self.flying]
        assert len(slots) == len(set(slots)) <= self.mapping.parallelization
        below = int(self.delivery.checkpoint or 0)
        assert {number for number in self.offered if number <= below and self.wanted(number)} <= set(self.finished)

    def wanted(self, number: int) -> bool:
        return not self.mapping.filters or self.items[number] != "I#0"


@given(MAPPINGS, st.integers(0, 2**32))
@settings(max_examples=150)
def test_every_schedule_ends_with_every_record_finished_once_and_in_order(mapping: MappingSettings, seed: int) -> None:
    schedule = Schedule(mapping, random.Random(seed))
    schedule.run()
    assert sorted(schedule.finished) == [number for number in schedule.offered if schedule.wanted(number)]
    for item in set(schedule.items.values()):
        of_item = [number for number in schedule.finished if schedule.items[number] == item]
        assert of_item == sorted(of_item)
    assert schedule.delivery.checkpoint == str(RECORDS)
    assert max(schedule.attempts.values(), default=0) <= 1 + mapping.max_retries
