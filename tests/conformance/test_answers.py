"""Rules 10 to 23: reading the answer, retries, halving, exhaustion and age."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tablestream.local.delivery.protocol import (
    Advanced,
    Answered,
    Condition,
    Delivered,
    DiscardRecords,
    FunctionError,
    InvocationOutcome,
    Invoke,
    NotInvoked,
    Retried,
    Split,
    TimedOut,
)
from tablestream.testing import CREATED
from tests.conformance.driver import ERROR, SUCCESS, Shard, failing, in_turn, numbers, record, records

DAY = 86_400


def names(*identifiers: object) -> Answered:
    return Answered({"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]})


def holding(*bad: int, otherwise: InvocationOutcome = ERROR) -> Callable[[Invoke], InvocationOutcome]:
    """A function that fails for every batch that holds one of these records."""
    return lambda invoke: otherwise if set(numbers(invoke.records)) & set(bad) else SUCCESS


def reporting(*bad: int) -> Callable[[Invoke], InvocationOutcome]:
    """A function that reports these records whenever they are in its batch."""
    return lambda invoke: failing(*(number for number in numbers(invoke.records) if number in bad))


@pytest.mark.parametrize("payload", [None, {}, [], "", {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_rule_10_what_counts_as_full_success(payload: object) -> None:
    shard = Shard(report_failures=True)
    shard.offer(1, 2)
    assert shard.run(lambda _: Answered(payload)) == [("invoke", [1, 2], 0)]
    assert shard.checkpoint() == "2"
    assert [event.count for event in shard.events(Delivered)] == [2]


@pytest.mark.parametrize(
    "answer",
    [
        names(""),
        names(None),
        names("99"),
        names(1),
        names("2", "99"),
        Answered({"batchItemFailures": [{"id": "2"}]}),
        Answered({"batchItemFailures": ["2"]}),
        Answered({"batchItemFailures": {"itemIdentifier": "2"}}),
        Answered("ok"),
        Answered(1),
        FunctionError("KeyError"),
        TimedOut(),
    ],
    ids=repr,
)
def test_rule_11_what_makes_the_whole_batch_a_failure(answer: InvocationOutcome) -> None:
    shard = Shard(report_failures=True, max_retries=0)
    shard.offer(1, 2, 3)
    assert shard.run(lambda _: answer) == [("invoke", [1, 2, 3], 0), ("RetryAttemptsExhausted", [1, 2, 3], 1)]


def test_rule_12_without_report_batch_item_failures_the_list_is_ignored() -> None:
    shard = Shard(report_failures=False)
    shard.offer(1, 2)
    assert shard.run(lambda _: names("1", "nonsense")) == [("invoke", [1, 2], 0)]


def test_rule_13_everything_from_the_lowest_failure_on_is_delivered_again() -> None:
    shard = Shard(report_failures=True)
    shard.offer(1, 2, 3, 4, 5)
    shard.answer(shard.invoke(), failing(5, 3))
    assert shard.checkpoint() == "2"
    assert numbers(shard.invoke().records) == [3, 4, 5]
    assert shard.events(Advanced) == [Advanced(0, 1, done=2, left=3, resume_at="3", at=CREATED)]


def test_rule_13_sequence_numbers_are_compared_as_integers() -> None:
    shard = Shard(report_failures=True)
    shard.offer(8, 9, 10, 11)
    shard.answer(shard.invoke(), failing(10, 9))
    assert numbers(shard.invoke().records) == [9, 10, 11]


def test_rule_14_an_answer_that_advances_resets_the_attempts() -> None:
    """The recorded case: a failing last record is delivered five times, and the message says four."""
    shard = Shard(report_failures=True, max_retries=3)
    shard.offer(1, 2, 3)
    done = shard.run(reporting(3))
    assert done == [
        ("invoke", [1, 2, 3], 0),
        ("invoke", [3], 0),
        ("invoke", [3], 1),
        ("invoke", [3], 2),
        ("invoke", [3], 3),
        ("RetryAttemptsExhausted", [3], 4),
    ]
    assert sum(3 in batch for batch in shard.invocations) == 5


def test_rule_15_a_failure_at_the_first_record_uses_up_an_attempt() -> None:
    shard = Shard(report_failures=True, max_retries=1)
    shard.offer(1, 2)
    assert shard.run(reporting(1)) == [
        ("invoke", [1, 2], 0),
        ("invoke", [1, 2], 1),
        ("RetryAttemptsExhausted", [1, 2], 2),
    ]


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_rule_16_an_identical_batch_is_invoked_one_time_more_than_the_retries(retries: int) -> None:
    shard = Shard(max_retries=retries)
    shard.offer(1, 2)
    shard.run(lambda _: ERROR)
    assert shard.invocations == [[1, 2]] * (1 + retries)


def test_rule_16_minus_one_is_no_limit() -> None:
    shard = Shard(max_retries=-1)
    shard.offer(1)
    with pytest.raises(AssertionError, match="still not done after 500 rounds"):
        shard.run(lambda _: ERROR, most=500)
    assert len(shard.invocations) == 500


def test_rule_16_the_first_attempts_time_stays() -> None:
    shard = Shard(max_retries=3)
    shard.offer(1)
    shard.run(lambda _: ERROR)
    invokes = [action for action in shard.actions if isinstance(action, Invoke)]
    assert {invoke.first_attempt_at for invoke in invokes} == {CREATED}
    assert [invoke.id for invoke in invokes] == [1, 2, 3, 4]


def test_rule_17_the_whole_remaining_batch_is_discarded_and_the_next_goes_on() -> None:
    shard = Shard(max_retries=0, batch_size=3, report_failures=True)
    shard.offer(1, 2, 3, 4, 5)
    assert shard.run(holding(2)) == [
        ("invoke", [1, 2, 3], 0),
        ("RetryAttemptsExhausted", [1, 2, 3], 1),
        ("invoke", [4, 5], 0),
    ]
    assert shard.checkpoint() == "5"


def test_rule_17_what_a_discard_says() -> None:
    shard = Shard(max_retries=0)
    shard.offer(1)
    shard.run(lambda _: ERROR)
    (discard,) = shard.discards
    assert (discard.condition, discard.invoke_id) == (Condition.RETRY_ATTEMPTS_EXHAUSTED, 1)
    assert (discard.invoke_count, discard.function_error) == (1, "Unhandled")


def test_rule_18_throttles_use_up_no_attempt() -> None:
    shard = Shard(max_retries=1, bisect=True)
    shard.offer(1, 2)
    done = shard.run(in_turn(*[NotInvoked()] * 20, SUCCESS))
    assert done == [("invoke", [1, 2], 0)] * 21


def test_rule_18_only_age_ends_throttling() -> None:
    shard = Shard(max_retries=0, max_age=60, backoff=lambda _: 25.0)
    shard.offer(1)
    assert shard.run(lambda _: NotInvoked()) == [("invoke", [1], 0)] * 3 + [("RecordAgeExceeded", [1], 0)]


def test_rule_19_a_failed_batch_is_halved_without_using_an_attempt() -> None:
    shard = Shard(bisect=True, max_retries=0, batch_size=8)
    shard.offer(*range(1, 9))
    assert shard.run(holding(3)) == [
        ("invoke", [1, 2, 3, 4, 5, 6, 7, 8], 0),
        ("invoke", [1, 2, 3, 4], 0),
        ("invoke", [1, 2], 0),
        ("invoke", [3, 4], 0),
        ("invoke", [3], 0),
        ("RetryAttemptsExhausted", [3], 1),
        ("invoke", [4], 0),
        ("invoke", [5, 6, 7, 8], 0),
    ]


def test_rule_19_only_a_batch_of_one_uses_up_attempts() -> None:
    shard = Shard(bisect=True, max_retries=2)
    shard.offer(1, 2)
    shard.run(holding(2))
    assert shard.invocations == [[1, 2], [1], [2], [2], [2]]


def test_rule_19_of_an_odd_batch_the_second_half_is_larger() -> None:
    shard = Shard(bisect=True)
    shard.offer(1, 2, 3)
    shard.answer(shard.invoke(), TimedOut())
    assert numbers(shard.invoke().records) == [1]
    assert shard.events(Split) == [Split(0, 1, first_half=1, second_half=2, reason="TimedOut", at=CREATED)]


def test_rule_19_throttles_do_not_halve() -> None:
    shard = Shard(bisect=True)
    shard.offer(1, 2)
    shard.answer(shard.invoke(), NotInvoked())
    shard.now += 1000
    assert numbers(shard.invoke().records) == [1, 2]


def test_rule_20_a_partial_answer_splits_at_the_returned_sequence_number() -> None:
    shard = Shard(bisect=True, report_failures=True, max_retries=0)
    shard.offer(*range(1, 9))
    assert shard.run(reporting(6)) == [
        ("invoke", [1, 2, 3, 4, 5, 6, 7, 8], 0),
        ("invoke", [6, 7, 8], 0),
        ("invoke", [6], 0),
        ("RetryAttemptsExhausted", [6], 1),
        ("invoke", [7, 8], 0),
    ]


def test_rule_20_a_function_error_halves_also_with_partial_answers_on() -> None:
    shard = Shard(bisect=True, report_failures=True)
    shard.offer(1, 2, 3, 4)
    shard.answer(shard.invoke(), ERROR)
    assert numbers(shard.invoke().records) == [1, 2]


def test_rule_20_a_partial_answer_at_the_first_record_halves() -> None:
    shard = Shard(bisect=True, report_failures=True, max_retries=0)
    shard.offer(1, 2, 3, 4)
    shard.answer(shard.invoke(), failing(1, 2))
    assert numbers(shard.invoke().records) == [1, 2]


def test_rule_21_with_bisect_a_message_may_still_stand_for_several_records() -> None:
    shard = Shard(bisect=True, max_retries=0, max_age=60)
    shard.offer(1, 2, 3)
    shard.now += 61
    shard.due()
    (discard,) = shard.discards
    assert numbers(discard.records) == [1, 2, 3]


def test_rule_22_the_expired_prefix_goes_as_one_message_and_the_rest_is_processed() -> None:
    shard = Shard(max_age=60)
    shard.offer(*records([1, 2], at=CREATED), record(3, at=CREATED + 30), record(4, at=CREATED))
    shard.now = CREATED + 61
    assert shard.run(lambda _: SUCCESS) == [("RecordAgeExceeded", [1, 2], 0), ("invoke", [3, 4], 0)]
    assert shard.checkpoint() == "4"


def test_rule_22_a_record_exactly_as_old_as_allowed_is_delivered() -> None:
    shard = Shard(max_age=60)
    shard.offer(1)
    shard.now = CREATED + 60
    assert numbers(shard.invoke().records) == [1]


def test_rule_22_age_is_looked_at_before_each_attempt() -> None:
    shard = Shard(max_age=60, backoff=lambda _: 40.0)
    shard.offer(record(1), record(2, at=CREATED + 50))
    assert shard.run(lambda _: ERROR) == [
        ("invoke", [1, 2], 0),
        ("invoke", [1, 2], 1),
        ("RecordAgeExceeded", [1], 2),
        ("invoke", [2], 2),
        ("RecordAgeExceeded", [2], 3),
    ]


def test_rule_22_a_batch_that_expired_as_a_whole_makes_way_for_the_next() -> None:
    shard = Shard(max_age=60, batch_size=2)
    shard.offer(record(1), record(2), record(3, at=CREATED + 61))
    shard.now += 61
    actions = shard.due()
    assert isinstance(actions[0], DiscardRecords)
    assert shard.deliveries == [("RecordAgeExceeded", [1, 2], 0), ("invoke", [3], 0)]


def test_rule_22_without_a_limit_nothing_is_too_old_before_the_streams_retention_ends() -> None:
    shard = Shard(max_age=-1)
    shard.offer(1)
    shard.now += DAY
    assert numbers(shard.invoke().records) == [1]


@pytest.mark.parametrize("max_age", [-1, 604_800])
def test_rule_36_what_is_retried_for_24_hours_is_trimmed_whatever_the_age_limit(max_age: float) -> None:
    shard = Shard(max_age=max_age, backoff=lambda _: DAY / 2 + 1)
    shard.offer(record(1), record(2, at=CREATED + 60))
    assert shard.run(in_turn(ERROR, ERROR, SUCCESS)) == [
        ("invoke", [1, 2], 0),
        ("invoke", [1, 2], 1),
        ("RecordsTrimmed", [1], 2),
        ("invoke", [2], 2),
    ]
    assert shard.checkpoint() == "2"


def test_rule_36_an_age_limit_within_the_retention_comes_first() -> None:
    shard = Shard(max_age=3600)
    shard.offer(1)
    shard.now += 2 * DAY
    assert shard.run(lambda _: SUCCESS) == [("RecordAgeExceeded", [1], 0)]


def test_rule_23_the_backoff_is_asked_with_the_failures_so_far() -> None:
    shard = Shard(max_retries=3, backoff=lambda failures: 10.0**failures)
    shard.offer(1)
    shard.run(lambda _: ERROR)
    retried = shard.events(Retried)
    assert [event.wait for event in retried] == [10, 100, 1000]
    assert [event.attempt for event in retried] == [1, 2, 3]
    assert shard.now == CREATED + 1110


def test_rule_23_a_batch_waits_out_its_backoff() -> None:
    shard = Shard(backoff=lambda _: 5.0)
    shard.offer(1)
    shard.answer(shard.invoke(), ERROR)
    shard.now += 4.9
    assert shard.due() == []
    assert shard.delivery.next_due(shard.now) == CREATED + 5
    shard.now = CREATED + 5
    assert shard.invoke().attempt == 1


def test_rule_23_throttles_back_off_by_their_own_count() -> None:
    shard = Shard(backoff=lambda failures: 10.0**failures)
    shard.offer(1)
    shard.run(in_turn(ERROR, NotInvoked(), NotInvoked(), ERROR, NotInvoked(), SUCCESS))
    assert [event.wait for event in shard.events(Retried)] == [10, 10, 100, 100, 10]


def test_rule_36_delivery_is_at_least_once() -> None:
    """What was applied before the time ran out is delivered again."""
    shard = Shard()
    shard.offer(1, 2)
    shard.run(in_turn(TimedOut(), SUCCESS))
    assert shard.invocations == [[1, 2], [1, 2]]


def test_nothing_is_due_twice() -> None:
    shard = Shard(max_retries=0)
    shard.offer(1)
    shard.answer(shard.invoke(), ERROR)
    (discard,) = shard.due()
    assert isinstance(discard, DiscardRecords)
    assert shard.due() == []
    assert shard.delivery.idle
