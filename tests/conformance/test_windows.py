"""Rule 33: tumbling windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tablestream.local.delivery.protocol import (
    Answered,
    InvocationOutcome,
    Invoke,
    NotInvoked,
    WindowContext,
    WindowEnded,
)
from tests.conformance.driver import ERROR, SHARD, STREAM, Shard, in_turn, numbers, record

START = 1_763_640_000.0  # a multiple of 60: 2025-11-20T12:00:00Z


def keeping(**state: object) -> Answered:
    return Answered({"state": state})


def counting(invoke: Invoke) -> InvocationOutcome:
    """Add the batch to the state, as an aggregating function does."""
    return keeping(count=window(invoke).state.get("count", 0) + len(invoke.records))


def window(invoke: Invoke) -> WindowContext:
    assert invoke.window is not None
    return invoke.window


def told(shard: Shard) -> list[tuple[list[int], Mapping[str, Any], bool]]:
    """Of each invocation: records, state, whether it is the window's final one."""
    invokes = [action for action in shard.actions if isinstance(action, Invoke)]
    return [(numbers(invoke.records), window(invoke).state, window(invoke).is_final) for invoke in invokes]


def shard_of(*, length: float = 60, **settings: Any) -> Shard:
    return Shard(tumbling_window=length, **settings)


def test_rule_33_the_event_of_a_window() -> None:
    shard = shard_of()
    shard.offer(record(1, at=START + 5))
    made = shard.invoke()
    assert made.event() == {
        "Records": list(made.records),
        "window": {"start": "2025-11-20T12:00:00Z", "end": "2025-11-20T12:01:00Z"},
        "state": {},
        "shardId": SHARD,
        "eventSourceARN": STREAM,
        "isFinalInvokeForWindow": False,
        "isWindowTerminatedEarly": False,
    }


def test_rule_33_without_windows_the_event_is_the_records_only() -> None:
    shard = Shard()
    shard.offer(1)
    made = shard.invoke()
    assert made.event() == {"Records": list(made.records)}


def test_rule_33_state_is_handed_on_and_the_window_ends_with_a_final_invocation() -> None:
    shard = shard_of(batch_size=2)
    shard.offer(*(record(n, at=START + n) for n in (1, 2, 3)), record(4, at=START + 60))
    shard.run(counting)
    assert told(shard) == [
        ([1, 2], {}, False),
        ([3], {"count": 2}, False),
        ([], {"count": 3}, True),
        ([4], {}, False),
        ([], {"count": 1}, True),
    ]
    ended = shard.events(WindowEnded)
    assert [(event.start - START, event.end - START, event.early, event.lost) for event in ended] == [
        (0, 60, False, False),
        (60, 120, False, False),
    ]


def test_rule_33_a_quiet_window_ends_two_minutes_after_its_end() -> None:
    shard = shard_of()
    shard.offer(record(1, at=START))
    shard.answer(shard.invoke(), counting(shard.actions[0]))  # type: ignore[arg-type]  # it is the Invoke
    assert not shard.delivery.idle
    assert shard.delivery.next_due(shard.now) == START + 60 + 120
    shard.now = START + 179
    assert shard.due() == []
    shard.now = START + 180
    assert window(shard.invoke()).is_final


def test_rule_33_a_closed_shard_ends_its_window_at_once() -> None:
    shard = shard_of()
    shard.offer(record(1, at=START))
    shard.delivery.close()
    shard.run(counting)
    assert told(shard) == [([1], {}, False), ([], {"count": 1}, True)]
    assert shard.finished()
    assert shard.now == START


def test_rule_33_a_record_of_the_next_window_ends_the_batching_window() -> None:
    shard = shard_of(batching_window=300)
    shard.offer(record(1, at=START), record(2, at=START + 61))
    assert numbers(shard.invoke().records) == [1]


@pytest.mark.parametrize("payload", [None, {}, {"batchItemFailures": []}, {"state": None}, {"state": "text"}, "state"])
def test_rule_33_an_answer_without_state_is_a_failure(payload: object) -> None:
    shard = shard_of(max_retries=0, report_failures=True)
    shard.offer(record(1, at=START), record(2, at=START))
    shard.answer(shard.invoke(), Answered(payload))
    shard.due()
    (discard,) = shard.discards
    assert numbers(discard.records) == [1, 2]


def test_rule_33_state_above_a_megabyte_ends_the_window_early() -> None:
    shard = shard_of(batch_size=1)
    shard.offer(record(1, at=START), record(2, at=START + 1))
    shard.run(in_turn(keeping(text="x" * 2**20), keeping(), keeping(), keeping()))
    flags = [
        (window(invoke).is_final, window(invoke).is_terminated_early)
        for invoke in shard.actions
        if isinstance(invoke, Invoke)
    ]
    assert flags == [(False, False), (True, True), (False, False), (True, False)]
    assert told(shard)[2] == ([2], {}, False)
    assert [event.early for event in shard.events(WindowEnded)] == [True, False]


def test_rule_33_only_the_final_invocation_says_that_the_window_ended_early() -> None:
    shard = shard_of(bisect=True)
    shard.offer(record(1, at=START), record(2, at=START))
    shard.run(in_turn(ERROR, keeping(text="x" * 2**20), keeping(text="x" * 2**20), keeping()))
    early = [window(action).is_terminated_early for action in shard.actions if isinstance(action, Invoke)]
    assert early == [False, False, False, True]


def test_rule_33_a_partial_answer_keeps_its_state() -> None:
    shard = shard_of(report_failures=True)
    shard.offer(*(record(n, at=START) for n in (1, 2, 3)))
    partial = Answered({"state": {"count": 1}, "batchItemFailures": [{"itemIdentifier": "2"}]})
    shard.answer(shard.invoke(), partial)
    made = shard.invoke()
    assert (numbers(made.records), window(made).state) == ([2, 3], {"count": 1})


def test_rule_33_retries_apply_as_always_and_begin_with_the_same_state() -> None:
    shard = shard_of(max_retries=1, batch_size=1)
    shard.offer(record(1, at=START), record(2, at=START))
    shard.run(in_turn(keeping(count=1), ERROR, ERROR, keeping(count=1)))
    assert told(shard) == [
        ([1], {}, False),
        ([2], {"count": 1}, False),
        ([2], {"count": 1}, False),
        ([], {"count": 1}, True),
    ]
    assert [numbers(discard.records) for discard in shard.discards] == [[2]]


def test_rule_33_halves_hand_the_state_on() -> None:
    shard = shard_of(bisect=True, max_retries=0)
    shard.offer(record(1, at=START), record(2, at=START))
    shard.run(in_turn(ERROR, keeping(count=1), keeping(count=2), keeping()))
    assert [state for _, state, _ in told(shard)] == [{}, {}, {"count": 1}, {"count": 2}]


def test_rule_33_a_final_invocation_is_retried_and_given_up_without_a_message() -> None:
    shard = shard_of(max_retries=1)
    shard.offer(record(1, at=START))
    shard.run(lambda invoke: ERROR if window(invoke).is_final else keeping(count=1))
    assert [final for _, _, final in told(shard)] == [False, True, True]
    assert shard.discards == []
    assert [event.lost for event in shard.events(WindowEnded)] == [True]
    assert shard.delivery.idle


def test_rule_33_age_applies_as_always() -> None:
    shard = shard_of(max_age=60)
    shard.offer(record(1, at=START), record(2, at=START + 59))
    shard.now = START + 61
    shard.run(counting)
    assert numbers(shard.discards[0].records) == [1]
    assert told(shard)[0] == ([2], {}, False)


def test_rule_33_throttles_change_no_state() -> None:
    shard = shard_of()
    shard.offer(record(1, at=START))
    shard.run(in_turn(NotInvoked(), keeping(count=1), NotInvoked(), keeping()))
    assert told(shard) == [([1], {}, False), ([1], {}, False), ([], {"count": 1}, True), ([], {"count": 1}, True)]
