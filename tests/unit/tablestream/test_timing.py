"""Time, backoff and calls side by side."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tablestream import Backoff, Deadline, Parallel, Run, Sequential, SystemClock, ThreadParallel
from tablestream.run import chunks
from tablestream.testing import CREATED, FakeClock, FakeContext

FOREVER = Deadline(lambda: float("inf"))


def longest(low: float, high: float) -> float:
    assert low == 0
    return high


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(base=0.1, cap=0.5, tries=5, uniform=longest)
    assert list(backoff.delays()) == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])


@given(st.integers(0, 10))
def test_delays_are_drawn_from_zero_up(tries: int) -> None:
    delays = list(Backoff(base=0.05, cap=2.0, tries=tries).delays())
    assert len(delays) == tries
    assert all(0 <= delay <= min(2.0, 0.05 * 2**attempt) for attempt, delay in enumerate(delays))


def test_it_sleeps_before_each_retry() -> None:
    clock = FakeClock()
    waits = Backoff(base=1, cap=8, tries=3, uniform=longest).waits(clock, FOREVER)
    assert [list(clock.slept) for _ in waits] == [[1], [1, 2], [1, 2, 4]]


def test_the_first_attempt_is_made_at_once_and_each_further_one_after_a_wait() -> None:
    clock = FakeClock()
    run = Run(FOREVER, clock=clock, backoff=Backoff(base=1, cap=8, tries=2, uniform=longest))
    assert [list(clock.slept) for _ in run.attempts()] == [[], [1], [1, 2]]


@pytest.mark.parametrize(("timeout", "slept"), [(1.0, []), (1.001, [1]), (3.0, [1]), (3.001, [1, 2])])
def test_it_does_not_sleep_up_to_the_deadline(timeout: float, slept: list[float]) -> None:
    clock = FakeClock()
    deadline = Deadline.of(FakeContext(timeout, clock), margin_seconds=0)
    list(Backoff(base=1, cap=8, tries=5, uniform=longest).waits(clock, deadline))
    assert clock.slept == slept


def test_the_deadline_is_lambdas_less_a_margin() -> None:
    context = FakeContext(10.0)
    deadline = Deadline.of(context, margin_seconds=3.0)
    assert deadline.remaining() == pytest.approx(7.0)
    context.clock.advance(6.999)
    assert not deadline.expired
    context.clock.advance(0.001)
    assert deadline.expired


def test_a_deadline_can_leave_a_share_of_the_time_to_others() -> None:
    context = FakeContext(10.0)
    lent = Deadline.of(context, margin_seconds=2.0).less(0.25)
    assert lent.remaining() == pytest.approx(6.0)
    context.clock.advance(6.0)
    assert lent.expired
    assert not Deadline.of(context, margin_seconds=2.0).expired
    assert Deadline.of(None, 0).less(0.25).remaining() == float("inf")


def test_of_a_short_time_a_deadline_leaves_enough_for_the_call_that_is_under_way() -> None:
    assert Deadline.of(FakeContext(12.0), margin_seconds=10.0).less(0.25).remaining() == pytest.approx(1.0)  # half
    assert Deadline.of(FakeContext(30.0), margin_seconds=10.0).less(0.25).remaining() == pytest.approx(
        15.0
    )  # a quarter
    lent = Deadline.of(FakeContext(20.0), margin_seconds=10.0).less(0.25)
    assert lent.remaining() == pytest.approx(5.5)  # a call takes up to 4.5 s
    assert lent.less(0.25).remaining() == pytest.approx(2.75)


def test_an_invocation_lends_its_deadline_and_a_part_of_it() -> None:
    run = Run(clock=FakeClock(), parallel=Sequential(), backoff=Backoff(tries=1))
    lent = run.within(FakeContext(10.0), margin_seconds=2.0)
    assert (lent.clock, lent.parallel, lent.backoff) == (run.clock, run.parallel, run.backoff)
    assert lent.deadline.remaining() == pytest.approx(8.0)
    assert lent.less(0.25).deadline.remaining() == pytest.approx(6.0)
    assert run.deadline.remaining() == run.within(None, 2.0).deadline.remaining() == float("inf")


def test_a_call_by_hand_has_no_deadline() -> None:
    assert Deadline.of(None, 3.0).remaining() == float("inf")


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock()
    clock.sleep(2.0)
    clock.advance(1.0)
    assert (clock.now(), clock.slept) == (CREATED + 3.0, [2.0])


def test_a_fake_context_runs_out_and_no_further() -> None:
    context = FakeContext(1.5)
    assert context.get_remaining_time_in_millis() == 1500
    context.clock.advance(5.0)
    assert context.get_remaining_time_in_millis() == 0


def test_the_system_clock_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "time", lambda: 5.0)
    monkeypatch.setattr(time, "sleep", slept.append)
    SystemClock().sleep(0.25)
    assert (SystemClock().now(), slept) == (5.0, [0.25])


@pytest.fixture(params=["sequential", "threads"])
def parallel(request: pytest.FixtureRequest) -> Parallel:
    return Sequential() if request.param == "sequential" else ThreadParallel(2)


def test_results_come_in_the_order_of_the_calls(parallel: Parallel) -> None:
    calls = [partial(int, number) for number in range(5)]
    assert parallel.run(calls) == [0, 1, 2, 3, 4]
    assert parallel.run(calls[:1]) == [0]
    assert parallel.run([]) == []


def test_the_first_error_is_raised_once_all_have_ended(parallel: Parallel) -> None:
    ended: list[int] = []

    def call(number: int) -> None:
        ended.append(number)
        if number:
            raise ValueError(f"call {number}")

    with pytest.raises(ValueError, match="call 1"):
        parallel.run([partial(call, number) for number in range(4)])
    assert sorted(ended) == [0, 1, 2, 3]


def test_a_single_call_that_fails_raises_its_error(parallel: Parallel) -> None:
    with pytest.raises(ZeroDivisionError):
        parallel.run([lambda: 1 // 0])


def test_threads_run_calls_at_the_same_time_and_a_single_one_at_home() -> None:
    parallel, meeting = ThreadParallel(2), threading.Barrier(2, timeout=5)
    assert sorted(parallel.run([meeting.wait, meeting.wait])) == [0, 1]
    assert parallel.run([threading.current_thread]) == [threading.current_thread()]


@given(st.lists(st.integers()), st.integers(1, 7))
def test_chunks_keep_order_and_size(items: list[int], size: int) -> None:
    parts = chunks(items, size)
    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts[-1:])
