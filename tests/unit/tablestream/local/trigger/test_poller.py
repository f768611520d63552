"""The trigger, turn by turn: it tells of records that wait, and for what."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import Answered
from tablestream.local.runtime.function import Invocation
from tablestream.local.trigger.memory_stream import MemoryStream
from tablestream.local.trigger.poller import Trigger, Wiring
from tablestream.local.trigger.status import Status
from tablestream.testing import inserted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tablestream.local.trigger.observations import Observation

WINDOW = 20


class Turns:
    """A trigger whose turns and whose clock are the test's. Its function answers when it is let."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stream = MemoryStream()
        self.stream.open("shard-1")
        self.status = Status()
        self.answer = threading.Event()
        settings = replace(MappingSettings(), batching_window=WINDOW, starting_position="TRIM_HORIZON", batch_size=3)
        wiring = Wiring("M", "arn", "1", settings, self.stream, self._invoke, observe=self._observe, now=self._clock)
        self.trigger = Trigger(wiring)
        self._written = 0

    def write(self, count: int) -> None:
        numbers = range(self._written + 1, self._written + count + 1)
        self._written += count
        made = [inserted({"pk": str(n), "sk": "s"}, sequence_number=n, at=self.now) for n in numbers]
        self.stream.append("shard-1", made)

    def line(self, after: float = 0.0) -> str:
        """The shard's line after a turn, so many seconds later."""
        self.now += after
        self.trigger.step()
        (line,) = self.status.lines(self.now)
        return line.partition(";")[0]

    def _invoke(self, _event: object) -> Invocation:
        self.answer.wait()
        return Invocation("id", Answered(None), None, 0.0, self.now)

    def _observe(self, observation: Observation) -> None:
        self.status.follow(observation)

    def _clock(self) -> float:
        return self.now


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.answer.set()
    made.trigger.stop()


def test_records_that_wait_for_the_window_are_told_with_what_is_left_of_it(turns: Turns) -> None:
    turns.write(1)
    assert turns.line() == "M: 1 record waits for the window of 20 s, 20 s to go"
    turns.write(1)
    assert turns.line(after=5) == "M: 2 records wait for the window of 20 s, 15 s to go"
    assert turns.line(after=15).startswith("M: 2 in flight, attempt 1, the oldest 20.0 s old")


def test_records_behind_a_batch_wait_for_its_end(turns: Turns) -> None:
    turns.write(5)
    assert turns.line().startswith("M: 3 in flight, attempt 1, 2 behind, the oldest")
    turns.answer.set()
    wait_until(turns, lambda: turns.line() == "M: 2 records wait for the window of 20 s, 20 s to go")


def test_nothing_waits_for_a_mapping_that_is_off(turns: Turns) -> None:
    turns.write(1)
    turns.line()
    turns.trigger.enable(wanted=False)
    assert turns.line() == "M: idle"
    turns.trigger.enable()
    assert turns.line() == "M: 1 record waits for the window of 20 s, 20 s to go"


def test_programs_get_it_as_the_work_of_the_slot(turns: Turns) -> None:
    turns.write(1)
    turns.line()
    (shard,) = turns.status.told(turns.now)
    assert shard["slots"] == {"0": "1 record waits for the window of 20 s, 20 s to go"}


def wait_until(turns: Turns, condition: Callable[[], bool]) -> None:
    """Look again until the answer, which comes from another thread, is there."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(turns.line())
