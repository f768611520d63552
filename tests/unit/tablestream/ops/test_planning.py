"""The records that are sent, their order and their batches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tablestream.ops.bucket import Stored
from tablestream.ops.planning import (
    FailureObject,
    Plan,
    Planner,
    UnreadableError,
    batches,
    marked,
    read_failure,
)
from tablestream.testing import Record, inserted


def record(item: str, number: int, **attributes: Any) -> Record:
    return inserted({"pk": item, "sk": "A", "entityType": "Order", **attributes}, sequence_number=10**20 + number)


def letter(
    one: Record,
    key: str = "",
    error: str = "KeyError",
    time: str = "2026-01-01T00:00:00.000+00:00",
    **more: str,
) -> FailureObject:
    content = {"record": one, "error_class": error, "handler": "a.b", "time": time, "reason": "secret", **more}
    return read_failure(Stored(key or f"dead-letters/{one['eventID']}.json", '"1"', json.dumps(content).encode()))


def given_up(*records: Record, key: str = "aws/lambda/1") -> FailureObject:
    content = {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "timestamp": "2026-01-01T00:00:00.000Z",
        "payload": {"Records": list(records)},
    }
    return read_failure(Stored(key, '"2"', json.dumps(content).encode()))


def plan(*selected: FailureObject, left: tuple[FailureObject, ...] = (), out_of_order: bool = False) -> Plan:
    planner = Planner(out_of_order=out_of_order)
    for failure in selected:
        planner.add(failure, selected=True)
    for failure in left:
        planner.add(failure, selected=False)
    return planner.plan()


def numbers(made: Plan) -> list[int]:
    return [one.sequence - 10**20 for one in made.records]


def test_sequence_numbers_are_compared_as_integers_across_objects_of_both_kinds() -> None:
    short = inserted({"pk": "a", "sk": "A"}, sequence_number="9" * 21)
    long = inserted({"pk": "a", "sk": "A"}, sequence_number="1" + "0" * 21)
    made = plan(given_up(long), letter(short))
    assert [len(str(one.sequence)) for one in made.records] == [21, 22]


def test_a_record_in_two_objects_is_sent_once_and_known_to_lie_in_both() -> None:
    shared = record("a", 1)
    made = plan(letter(shared), given_up(shared, record("b", 2)))
    assert numbers(made) == [1, 2]
    assert len(made.records[0].places) == 2


def test_a_record_stored_again_by_a_redrive_is_still_the_same() -> None:
    shared = record("a", 1)
    assert numbers(plan(letter({**shared, "redriven": True}), given_up(shared))) == [1]


def test_a_record_is_sent_with_the_time_at_which_it_was_first_set_aside_anywhere() -> None:
    shared = record("a", 1)
    again = letter(shared, time="2026-03-01T00:00:00.000+00:00", first_time="2026-02-01T00:00:00.000+00:00")
    (alone,) = plan(again).records
    assert marked(shared, alone.first_time)["firstTime"] == "2026-02-01T00:00:00.000+00:00"
    (both,) = plan(again, given_up(shared)).records
    assert marked(shared, both.first_time)["firstTime"] == "2026-01-01T00:00:00.000+00:00"
    (timeless,) = plan(letter(shared, time="yesterday")).records
    assert marked(shared, timeless.first_time) == {**shared, "redriven": True}


def test_one_waits_for_an_earlier_change_of_its_item_that_is_left_behind() -> None:
    made = plan(letter(record("a", 2)), letter(record("b", 2)), left=(letter(record("a", 1)), letter(record("b", 3))))
    assert [one.item for one in made.records] == [plan(letter(record("b", 2))).records[0].item]
    assert made.waiting == 1
    assert plan(letter(record("a", 2)), left=(letter(record("a", 1)),), out_of_order=True).waiting == 0


def test_an_object_one_of_whose_records_waits_is_not_settled_as_a_whole() -> None:
    made = plan(given_up(record("a", 2), record("b", 3)), left=(letter(record("a", 1)),))
    source = made.objects["aws/lambda/1"]
    assert (source.total, source.waiting) == (2, {1})


def test_batches_keep_to_both_limits() -> None:
    planned = plan(*[letter(record(str(n), n, text="x" * 100)) for n in range(10)]).records
    assert [len(batch) for batch in batches(planned, 4)] == [4, 4, 2]
    size = planned[0].size
    assert [len(batch) for batch in batches(planned, 100, 3 * size + 3)] == [3, 3, 3, 1]
    assert [len(batch) for batch in batches(planned, 100, 1)] == [1] * 10


def test_a_batch_is_no_larger_than_it_was_planned() -> None:
    planned = plan(*[letter(record(str(n), n, text="é\ud800" * 50)) for n in range(3)]).records
    sent = [marked(record(str(n), n, text="é\ud800" * 50), 1767225600.0) for n in range(3)]
    whole = json.dumps({"Records": sent}, separators=(",", ":"))
    assert len(whole) <= sum(one.size + 1 for one in planned) + len('{"Records":[]}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"record": {"dynamodb": {}}}',
        b'{"record": {"dynamodb": {"SequenceNumber": "x"}}}',
        b'{"requestContext": 1}',
        b'{"requestContext": {"condition": "RetryAttemptsExhausted"}}',
        b'{"requestContext": {}, "payload": {"Records": []}}',
        b'{"requestContext": {}, "payload": {"Records": ["secret"]}}',
    ],
)
def test_what_is_nothing_that_can_be_sent_is_told_without_quoting_it(body: bytes) -> None:
    with pytest.raises(UnreadableError) as told:
        read_failure(Stored("k", "", body))
    assert "secret" not in str(told.value)


def test_classes_are_told_only_if_they_look_like_one() -> None:
    failure = letter(record("a", 1, entityType="Jane Doe, 1 Main St"), error="no such customer: Jane")
    assert (failure.reason, dict(failure.entities)) == ("-", {"-": 1})
