"""A batch before any effect: lanes, duplicates, poison, and when the code is at fault and not the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tablestream import Change, InvalidRecord, Router, SystemicFailure
from tablestream.batch import Batch, Task, prepare
from tablestream.systemic import Suspicion
from tablestream.testing import Record, event, inserted
from tests.unit.tablestream.kit import Mail, Stock, altered, made, router

SINK_OF: dict[type, int] = {Stock: 0, Mail: 1}


def batch_of(*records: Record, routes: Router | None = None) -> Batch:
    return prepare(event(*records)["Records"], routes or router(), SINK_OF, Suspicion())


def lanes_of(batch: Batch) -> list[list[Task]]:
    queues = {lane[0]: list(lane) for lane in batch.queues}
    return [queues.get(head, [head]) for head in batch.heads]


def only_task(batch: Batch) -> Task:
    ((task,),) = lanes_of(batch)
    return task


def routed_to(handler: Any) -> Router:
    routes = Router()
    routes.on_insert("Thing")(handler)
    return routes


def test_the_changes_of_an_item_share_a_lane_and_different_items_do_not() -> None:
    batch = batch_of(made("a", "mail:1"), made("b", "mail:2"), altered("a", "mail:3"), altered("b", "mail:4"))
    assert [[task.effects for task in lane] for lane in lanes_of(batch)] == [
        [[(1, Mail("1"))], [(1, Mail("3"))]],
        [[(1, Mail("2"))], [(1, Mail("4"))]],
    ]


def test_a_lane_is_in_the_order_of_the_stream_with_numbers_compared_as_integers() -> None:
    late, early = made("a", "mail:10", sequence_number="10"), altered("a", "mail:9", sequence_number="9")
    (lane,) = lanes_of(batch_of(late, early))
    assert [task.sequence for task in lane] == [9, 10]


def test_what_nobody_wants_is_counted_and_left() -> None:
    batch = batch_of(
        made("a"), inserted({"pk": "USER#1", "sk": "A", "entityType": "User"}), inserted({"pk": "1"}, keys=("pk",))
    )
    assert (batch.skipped, len(lanes_of(batch))) == (2, 1)


def test_a_record_that_stands_twice_is_taken_once() -> None:
    twice = made("a", "mail:1")
    batch = batch_of(twice, made("b"), twice)
    assert (batch.duplicates, len(lanes_of(batch))) == (1, 2)
    assert [len(lane) for lane in lanes_of(batch)] == [1, 1]


def test_two_records_that_share_only_an_event_id_are_two() -> None:
    records = [{**record, "eventID": "same"} for record in event(made("a", "mail:1"), made("b", "mail:2"))["Records"]]
    batch = prepare(records, router(), SINK_OF, Suspicion())
    assert (batch.duplicates, len(lanes_of(batch))) == (0, 2)


def test_two_changes_of_an_item_that_share_only_a_sequence_number_are_two() -> None:
    one, other = event(made("a", "mail:1"), altered("a", "mail:2", sequence_number=5))["Records"]
    one["dynamodb"]["SequenceNumber"] = other["dynamodb"]["SequenceNumber"]
    batch = prepare([one, other], router(), SINK_OF, Suspicion())
    assert (batch.duplicates, [len(lane) for lane in lanes_of(batch)]) == (0, [2])


def test_a_handler_can_return_nothing_one_effect_or_several() -> None:
    for result, effects in (
        (None, []),
        ((), []),
        (Mail("1"), [(1, Mail("1"))]),
        ([Mail("1"), Stock("2")], [(1, Mail("1")), (0, Stock("2"))]),
        (iter([Stock("1"), Stock("2")]), [(0, Stock("1")), (0, Stock("2"))]),
    ):
        assert (
            only_task(batch_of(made("a"), routes=routed_to(lambda _change, result=result: result))).effects == effects
        )


def test_the_effects_of_several_handlers_follow_each_other() -> None:
    routes = routed_to(lambda _change: Mail("1"))
    routes.on_insert("Thing")(lambda _change: Stock("2"))
    assert only_task(batch_of(made("a"), routes=routes)).effects == [(1, Mail("1")), (0, Stock("2"))]


def test_a_record_that_a_handler_refuses_is_poison_with_its_reason_and_without_effects() -> None:
    task = only_task(batch_of(made("a", "stock:1", "invalid:no lines")))
    assert task.effects == []
    assert task.poison is not None
    assert (task.poison.reason, task.poison.error_class, task.poison.unexpected) == ("no lines", "InvalidRecord", False)
    assert task.poison.handler == "tests.unit.tablestream.kit.act"


def test_the_second_handlers_refusal_takes_back_the_firsts_effects() -> None:
    routes = routed_to(lambda _change: Mail("1"))
    routes.on_insert("Thing")(lambda change: [Stock("2"), Stock(change.image["missing"])])
    task = only_task(batch_of(made("a"), routes=routes))
    assert task.effects == []
    assert task.poison is not None
    assert task.poison.error_class == "KeyError"


def test_an_unexpected_error_is_poison_with_the_place_where_it_was_raised() -> None:
    task = only_task(batch_of(made("a", "raise:by zero")))
    assert task.poison is not None
    assert (task.poison.error_class, task.poison.unexpected) == ("ZeroDivisionError", True)
    assert task.poison.reason.startswith("by zero (act, line ")


@pytest.mark.parametrize("result", ["text", 7, Ellipsis, [Mail("1"), object()]])
def test_what_no_sink_takes_is_poison(result: object) -> None:
    task = only_task(batch_of(made("a"), routes=routed_to(lambda _change: result)))
    assert task.poison is not None
    assert task.poison.unexpected
    assert task.effects == []


def test_a_malformed_record_is_poison_before_any_handler() -> None:
    record = made("a", "mail:1")
    del record["dynamodb"]["NewImage"]
    task = only_task(batch_of(record))
    assert task.poison is not None
    assert (task.poison.error_class, task.poison.handler, task.poison.unexpected) == ("InvalidRecord", None, False)


@pytest.mark.parametrize("keys", [None, {}, "THING#a", {"pk": {"S": []}}])
def test_records_without_usable_keys_are_poison_in_a_lane_each(keys: Any) -> None:
    records = event(made("a", "mail:1"), made("a", "mail:2"))["Records"]
    for record in records:
        record["dynamodb"]["Keys"] = keys
    batch = prepare(records, router(), SINK_OF, Suspicion())
    assert [[(task.effects, task.poison is not None) for task in lane] for lane in lanes_of(batch)] == [
        [([], True)]
    ] * 2


def test_the_first_reason_stays_when_the_keys_are_bad_as_well() -> None:
    record = event(made("a", "invalid:first"))["Records"][0]
    record["dynamodb"]["Keys"] = {}
    assert only_task(prepare([record], router(), SINK_OF, Suspicion())).poison.reason == "first"  # type: ignore[union-attr]  # it is poison


def test_images_too_deep_to_be_compared_are_poison_and_no_recursion_error() -> None:
    def bottomless() -> Any:
        value: Any = {"S": "bottom"}
        for _ in range(100_000):
            value = {"L": [value]}
        return value

    routes = Router()
    routes.on_modify("Thing", changed=("status",))(lambda _change: None)
    record = event(altered("a"))["Records"][0]
    record["dynamodb"]["OldImage"]["status"] = bottomless()
    record["dynamodb"]["NewImage"]["status"] = bottomless()
    task = only_task(prepare([record], routes, SINK_OF, Suspicion()))
    assert task.poison is not None
    assert (task.poison.reason, task.poison.error_class) == ("nested too deeply to be compared", "InvalidRecord")


def raising(count: int, *, of: int) -> Iterator[Record]:
    for number in range(of):
        yield made(str(number), "raise:bug" if number < count else "mail:1")


@pytest.mark.parametrize(("count", "of"), [(6, 10), (10, 10), (51, 100)])
def test_when_most_handlers_raise_the_code_is_at_fault(count: int, of: int) -> None:
    with pytest.raises(SystemicFailure, match=f"raised for {count} of {of} records, nothing was stored: ") as caught:
        batch_of(*raising(count, of=of))
    assert "ZeroDivisionError in tests.unit.tablestream.kit.act" in str(caught.value)
    assert "bug" not in str(caught.value)


@pytest.mark.parametrize(("count", "of"), [(5, 10), (9, 9), (1, 1), (50, 100)])
def test_up_to_half_or_in_a_small_batch_it_is_the_records(count: int, of: int) -> None:
    batch = batch_of(*raising(count, of=of))
    assert sum(lane[0].poison is not None for lane in lanes_of(batch)) == count


def test_records_that_handlers_refuse_on_purpose_are_never_systemic() -> None:
    batch = batch_of(*[made(str(number), "invalid:no lines") for number in range(20)])
    assert len(lanes_of(batch)) == 20


def test_what_is_skipped_does_not_count_against_a_systemic_failure() -> None:
    others = [inserted({"pk": str(number), "sk": "A", "entityType": "User"}) for number in range(50)]
    with pytest.raises(SystemicFailure, match="10 of 10"):
        batch_of(*others, *raising(10, of=10))


def test_running_out_of_memory_is_no_records_fault() -> None:
    def exhaust(_change: Change) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        batch_of(made("a"), routes=routed_to(exhaust))


def test_a_handler_without_a_name_is_still_named() -> None:
    class Nameless:
        def __call__(self, _change: Change) -> None:
            raise InvalidRecord("x")

        def __repr__(self) -> str:
            return "nameless"

    task = only_task(batch_of(made("a"), routes=routed_to(Nameless())))
    assert task.poison is not None
    assert task.poison.handler is not None
    assert task.poison.handler.endswith(".nameless")
