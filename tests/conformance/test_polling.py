"""Rules 4, 7, 8, 9: from the records of a shard to batches."""

from __future__ import annotations

import random

import pytest

from tablestream.local.delivery.batch import PAYLOAD_LIMIT
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import Checkpointed, Filtered, InvocationOutcome, Invoke, Invoked
from tablestream.local.delivery.shard import ShardDelivery
from tablestream.testing import CREATED, inserted, modified, removed
from tests.conformance.driver import ERROR, SHARD, STREAM, SUCCESS, Shard, failing, numbers, record, records

MIB = 1024 * 1024


def test_rule_04_the_checkpoint_is_the_last_record_that_is_done() -> None:
    shard = Shard(report_failures=True)
    assert shard.checkpoint() is None
    shard.offer(1, 2, 3)
    assert shard.checkpoint() is None
    shard.answer(shard.invoke(), failing(3))
    assert shard.checkpoint() == "2"
    assert shard.events(Checkpointed) == [Checkpointed("2", CREATED)]


def test_rule_04_a_new_delivery_resumes_behind_the_checkpoint() -> None:
    shard = Shard(checkpoint="2")
    assert shard.checkpoint() == "2"
    with pytest.raises(ValueError, match="record 2 offered after 2; wanted stream order"):
        shard.offer(2)
    shard.offer(3)
    assert shard.run(lambda _: SUCCESS) == [("invoke", [3], 0)]
    assert shard.checkpoint() == "3"


def test_rule_06_reading_stops_when_much_is_waiting_and_goes_on_when_it_is_done() -> None:
    shard = Shard(batch_size=1000)
    shard.offer(*range(1, 2000))
    assert shard.has_room()
    shard.offer(2000)
    assert not shard.has_room()
    shard.run(lambda _: SUCCESS)
    assert shard.has_room()


def test_rule_06_large_records_stop_the_reading_earlier() -> None:
    shard = Shard(batch_size=10_000)
    shard.offer(*(record(number, text="x" * MIB) for number in range(1, 12)))
    assert shard.has_room()
    shard.offer(record(12, text="x" * MIB))
    assert not shard.has_room()


def test_rule_07_one_batch_in_flight_per_shard() -> None:
    shard = Shard()
    shard.offer(1)
    first = shard.invoke()
    shard.offer(2)
    assert shard.due() == []
    assert shard.delivery.next_due(shard.now) is None
    shard.answer(first, SUCCESS)
    assert numbers(shard.invoke().records) == [2]


def test_rule_07_as_many_batches_in_flight_as_the_parallelization_factor() -> None:
    shard = Shard(parallelization=4, batch_size=10)
    shard.offer(*range(1, 201))
    flying = shard.due()
    assert sorted(action.slot for action in flying) == [0, 1, 2, 3]
    assert shard.due() == []


def test_rule_07_all_records_are_delivered_by_all_slots_together() -> None:
    shard = Shard(parallelization=10, batch_size=7)
    shard.offer(*range(1, 201))
    shard.run(lambda _: SUCCESS)
    assert sorted(number for batch in shard.invocations for number in batch) == list(range(1, 201))


def test_rule_07_order_holds_per_item_while_slots_run_side_by_side() -> None:
    choice = random.Random(7)
    shard = Shard(parallelization=3, batch_size=4, bisect=True, report_failures=True)
    items = {number: f"I#{choice.randrange(9)}" for number in range(1, 151)}
    shard.offer(*(record(number, item=item) for number, item in items.items()))
    applied: dict[str, list[int]] = {}

    def function(invoke: Invoke) -> InvocationOutcome:
        if choice.random() < 0.3:
            return ERROR
        got = numbers(invoke.records)
        done = choice.randrange(len(got) + 1) if choice.random() < 0.3 else len(got)
        for number in got[:done]:
            applied.setdefault(items[number], []).append(number)
        return failing(*got[done:])

    shard.run(function)
    assert sum(map(len, applied.values())) == 150
    assert all(done == sorted(done) for done in applied.values())


def test_rule_07_sort_keys_matter_for_the_slot_images_do_not() -> None:
    shard = Shard(parallelization=10, batch_size=100)
    old, new = {"pk": "P", "sk": "S", "n": 1}, {"pk": "P", "sk": "S", "n": 2}
    changes = [
        inserted(old, sequence_number=1),
        modified(old, new, sequence_number=2),
        removed(new, sequence_number=3),
    ]
    neighbours = [inserted({"pk": "P", "sk": f"S{n}"}, sequence_number=n) for n in range(4, 40)]
    shard.offer(*changes, *neighbours)
    batches = [numbers(action.records) for action in shard.due()]
    assert any(batch[:3] == [1, 2, 3] for batch in batches)
    assert len(batches) > 1


def test_rule_07_a_slot_that_backs_off_does_not_hold_up_the_others() -> None:
    shard = Shard(parallelization=2, batch_size=1, backoff=lambda _: 1000.0)
    shard.offer(*range(1, 21))
    shard.run(lambda invoke: ERROR if invoke.slot == 0 and shard.now == CREATED else SUCCESS)
    times = {slot: [event.at for event in shard.events(Invoked) if event.slot == slot] for slot in (0, 1)}
    assert times[0][:2] == [CREATED, CREATED + 1000]
    assert set(times[1]) == {CREATED}


def test_rule_07_the_checkpoint_stays_below_the_slot_that_is_behind() -> None:
    shard = Shard(parallelization=2, batch_size=1)
    shard.offer(*range(1, 11))
    slow = next(action for action in shard.due() if numbers(action.records) == [1])
    assert {action.slot for action in shard.actions} == {0, 1}
    while others := [action for action in shard.actions if action is not slow]:
        shard.actions = [slow]
        for action in others:
            assert isinstance(action, Invoke)
            shard.answer(action, SUCCESS)
        assert shard.checkpoint() is None
        shard.due()
    assert isinstance(slow, Invoke)
    shard.answer(slow, SUCCESS)
    assert shard.checkpoint() is not None


def test_rule_08_without_a_window_a_single_record_goes_at_once() -> None:
    shard = Shard(batch_size=100)
    shard.offer(1)
    assert numbers(shard.invoke().records) == [1]


def test_rule_08_the_window_gathers_until_it_ends() -> None:
    shard = Shard(batch_size=100, batching_window=5)
    shard.offer(1)
    assert shard.due() == []
    assert shard.delivery.next_due(shard.now) == CREATED + 5
    shard.now += 3
    shard.offer(2)
    assert shard.delivery.next_due(shard.now) == CREATED + 5
    shard.now = CREATED + 4.999
    assert shard.due() == []
    shard.now = CREATED + 5
    assert numbers(shard.invoke().records) == [1, 2]


def test_rule_08_the_batch_size_ends_the_window() -> None:
    shard = Shard(batch_size=3, batching_window=300)
    shard.offer(1, 2)
    assert shard.due() == []
    shard.offer(3, 4)
    assert numbers(shard.invoke().records) == [1, 2, 3]


def test_rule_08_six_megabytes_end_the_window_and_the_batch() -> None:
    shard = Shard(batch_size=100, batching_window=300)
    shard.offer(*(record(number, text="x" * MIB) for number in range(1, 6)))
    assert shard.due() == []
    shard.offer(record(6, text="x" * MIB))
    assert numbers(shard.invoke().records) == [1, 2, 3, 4, 5]


def test_rule_08_what_was_sent_no_longer_counts() -> None:
    shard = Shard(batch_size=100, batching_window=300)
    shard.offer(*(record(number, text="x" * MIB) for number in range(1, 7)))
    shard.answer(shard.invoke(), SUCCESS)
    shard.offer(7)
    assert shard.due() == []
    assert shard.delivery.next_due(shard.now) == CREATED + 300


def test_rule_08_a_record_above_the_payload_limit_goes_alone() -> None:
    shard = Shard(batch_size=100)
    shard.offer(record(1, text="x" * (PAYLOAD_LIMIT + 1)), 2)
    assert shard.run(lambda _: SUCCESS) == [("invoke", [1], 0), ("invoke", [2], 0)]


def test_rule_08_a_closed_shard_waits_for_no_window() -> None:
    shard = Shard(batch_size=100, batching_window=300)
    shard.offer(1)
    shard.delivery.close()
    assert not shard.finished()
    assert shard.run(lambda _: SUCCESS) == [("invoke", [1], 0)]
    assert shard.finished()
    assert shard.now == CREATED


def test_rule_08_a_batch_never_spans_shards() -> None:
    ours = ShardDelivery(MappingSettings(), SHARD, STREAM)
    theirs = ShardDelivery(MappingSettings(), "shardId-other", STREAM)
    ours.offer(records([1, 2]), CREATED)
    theirs.offer(records([3]), CREATED)
    batches = [(action.shard_id, numbers(action.records)) for action in (*ours.due(CREATED), *theirs.due(CREATED))]
    assert batches == [(SHARD, [1, 2]), ("shardId-other", [3])]


def test_rule_09_filters_run_before_gathering() -> None:
    shard = Shard(batch_size=2, batching_window=300, filters=('{"dynamodb": {"Keys": {"pk": {"S": ["wanted"]}}}}',))
    shard.offer(record(1), record(2, item="wanted"), record(3))
    assert shard.due() == []
    shard.offer(record(4, item="wanted"))
    assert numbers(shard.invoke().records) == [2, 4]
    assert shard.events(Filtered) == [Filtered(2, CREATED)]


def test_rule_09_a_filtered_record_advances_the_position_and_invokes_nothing() -> None:
    shard = Shard(filters=('{"eventName": ["REMOVE"]}',))
    shard.offer(1, 2, 3)
    assert shard.due() == []
    assert shard.delivery.next_due(shard.now) is None
    assert shard.delivery.idle
    assert shard.checkpoint() == "3"


def test_rule_09_a_filtered_record_does_not_move_past_an_undelivered_one() -> None:
    shard = Shard(filters=('{"dynamodb": {"Keys": {"pk": {"S": ["wanted"]}}}}',))
    shard.offer(record(1), record(2, item="wanted"), record(3))
    assert shard.checkpoint() == "1"
    shard.answer(shard.invoke(), SUCCESS)
    assert shard.checkpoint() == "3"


def test_the_driver_is_told_when_it_misuses_the_state_machine() -> None:
    shard = Shard()
    with pytest.raises(ValueError, match="invocation 7 is not in flight"):
        shard.delivery.answered(7, SUCCESS, shard.now)
    with pytest.raises(ValueError, match="SequenceNumber None; wanted text of digits"):
        shard.delivery.offer([{"dynamodb": {}}], shard.now)
    shard.delivery.close()
    assert not shard.has_room()
    with pytest.raises(ValueError, match="after the shard was closed"):
        shard.offer(1)
