"""A batch before any effect: lanes, duplicates, poison, mistakes in the wiring, and code that is at fault."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import pydantic
import pytest

from tablestream import Change, ConfigurationError, InvalidRecord, Kind, Router, SystemicFailure
from tablestream._engine.intake import Consumer, Lanes
from tablestream._engine.invocation import SystemicCheck
from tablestream._engine.waves import Task
from tablestream.sink import Effect
from tablestream.testing import CREATED, Record, RecordingSink, event, inserted, modified
from tests.unit.tablestream.kit import Mail, Stock, altered, made, router

SINK_OF: dict[type, int] = {Stock: 0, Mail: 1}


def consumer(routes: Router | None = None, **settings: Any) -> Consumer:
    sinks = (RecordingSink((Stock,), "stock", idempotent=True), RecordingSink((Mail,), "mail"))
    return Consumer("worker", routes or router(), sinks, SINK_OF, **settings)


def taken(records: list[Record], routes: Router | None = None, **settings: Any) -> Lanes:
    return consumer(routes, **settings).take(records, SystemicCheck())


def batch_of(*records: Record, routes: Router | None = None, **settings: Any) -> Lanes:
    return taken(event(*records)["Records"], routes, **settings)


def wanted(task: Task) -> list[object]:
    return list(task.values)


def lanes_of(batch: Lanes) -> list[list[Task]]:
    queues = {lane[0]: list(lane) for lane in batch.queues}
    return [queues.get(head, [head]) for head in batch.heads]


def only_task(batch: Lanes) -> Task:
    ((task,),) = lanes_of(batch)
    return task


def routed_to(handler: Any) -> Router:
    routes = Router()
    routes.on_insert("Thing")(handler)
    return routes


def test_the_changes_of_an_item_share_a_lane_and_different_items_do_not() -> None:
    batch = batch_of(made("a", "mail:1"), made("b", "mail:2"), altered("a", "mail:3"), altered("b", "mail:4"))
    assert [[wanted(task) for task in lane] for lane in lanes_of(batch)] == [
        [[Mail("1")], [Mail("3")]],
        [[Mail("2")], [Mail("4")]],
    ]


def test_the_order_in_which_a_record_names_the_keys_does_not_matter() -> None:
    one, other = event(made("a", "mail:1"), altered("a", "mail:2"))["Records"]
    other["dynamodb"]["Keys"] = dict(reversed(other["dynamodb"]["Keys"].items()))
    assert [len(lane) for lane in lanes_of(taken([one, other]))] == [2]


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
    batch = taken(records)
    assert (batch.duplicates, len(lanes_of(batch))) == (0, 2)


def test_two_changes_of_an_item_that_share_only_a_sequence_number_are_two() -> None:
    one, other = event(made("a", "mail:1"), altered("a", "mail:2", sequence_number=5))["Records"]
    one["dynamodb"]["SequenceNumber"] = other["dynamodb"]["SequenceNumber"]
    batch = taken([one, other])
    assert (batch.duplicates, [len(lane) for lane in lanes_of(batch)]) == (0, [2])


def test_a_handler_can_return_nothing_one_effect_or_several() -> None:
    for result, effects in (
        (None, []),
        ((), []),
        (Mail("1"), [Mail("1")]),
        ([Stock("2"), Mail("1")], [Stock("2"), Mail("1")]),
        (iter([Stock("1"), Stock("2")]), [Stock("1"), Stock("2")]),
    ):
        task = only_task(batch_of(made("a"), routes=routed_to(lambda _change, result=result: result)))
        assert wanted(task) == effects


def test_effects_stand_in_the_order_of_their_sinks_and_those_of_one_sink_as_handlers_returned_them() -> None:
    routes = routed_to(lambda _change: [Mail("1"), Stock("1")])
    routes.on_insert("Thing")(lambda _change: [Mail("2"), Stock("2")])
    task = only_task(batch_of(made("a"), routes=routes))
    assert wanted(task) == [Stock("1"), Stock("2"), Mail("1"), Mail("2")]


def test_a_record_that_a_handler_refuses_is_poison_with_its_reason_and_without_effects() -> None:
    task = only_task(batch_of(made("a", "stock:1", "invalid:no lines")))
    assert task.values == []
    assert task.poison is not None
    assert (task.poison.reason, task.poison.error_class, task.poison.unexpected) == ("no lines", "InvalidRecord", False)
    assert task.poison.handler == "tests.unit.tablestream.kit.act"


def test_the_second_handlers_refusal_takes_back_the_firsts_effects() -> None:
    routes = routed_to(lambda _change: Mail("1"))
    routes.on_insert("Thing")(lambda change: [Stock("2"), Stock(change.image["missing"])])
    task = only_task(batch_of(made("a"), routes=routes))
    assert task.values == []
    assert task.poison is not None
    assert (task.poison.error_class, task.poison.reason) == (
        "MissingAttribute",
        "missing: wanted a value, got none; the item has does, entityType, pk, sk",
    )
    assert not task.poison.unexpected, "the item is at fault, and not the code"
    assert task.poison.suspicious, "unless most items lack it"


def test_an_unexpected_error_is_poison_with_the_place_where_it_was_raised() -> None:
    task = only_task(batch_of(made("a", "raise:by zero")))
    assert task.poison is not None
    assert (task.poison.error_class, task.poison.unexpected) == ("ZeroDivisionError", True)
    assert task.poison.reason.startswith("by zero (kit.py, line ")


class Post(Mail):
    """A subclass of an effect that a sink takes."""


class Pair(NamedTuple):
    one: str
    other: str


@pytest.mark.parametrize("count", [1, 9, 10, 100])
@pytest.mark.parametrize(
    ("result", "name"),
    [
        ("text", "str"),
        (7, "int"),
        ({"a": 1}, "dict"),
        ([Mail("1"), object()], "object"),
        (Post("1"), "Post"),
        ([Post("1")], "Post"),
        (Pair("a", "b"), "Pair"),
    ],
)
def test_an_effect_that_no_sink_takes_is_a_mistake_in_the_wiring_whatever_the_batch(
    result: object, name: str, count: int
) -> None:
    def answer(_change: Change) -> object:
        return result

    with pytest.raises(
        ConfigurationError, match=rf"answer returned a {name}, which no sink takes; .* are: Mail, Stock$"
    ):
        batch_of(*[made(str(number)) for number in range(count)], routes=routed_to(answer))


@pytest.mark.parametrize("count", [1, 10])
def test_a_coroutine_that_comes_back_never_ran_and_is_a_mistake_in_the_wiring(count: int) -> None:
    async def send(_change: Change) -> None: ...

    def hand_on(change: Change) -> object:
        return send(change)

    with pytest.raises(ConfigurationError, match="returned a coroutine, which never ran"):
        batch_of(*[made(str(n)) for n in range(count)], routes=routed_to(hand_on))


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
def test_whatever_a_handler_raises_concerns_its_record_only(error: BaseException) -> None:
    def leave(change: Change) -> Mail:
        if change.image["pk"] == "THING#a":
            raise error
        return Mail("b")

    batch = batch_of(made("a"), made("b"), routes=routed_to(leave))
    assert [(wanted(task), task.poison is not None) for (task,) in lanes_of(batch)] == [
        ([], True),
        ([Mail("b")], False),
    ]


class NotAnOrder(Exception):
    """A user's own word for a bad record."""


def test_exceptions_that_mean_a_bad_record_are_named_by_a_setting() -> None:
    def refuse(_change: Change) -> None:
        raise NotAnOrder("no lines")

    records = [made(str(number)) for number in range(20)]
    batch = batch_of(*records, routes=routed_to(refuse), bad_record=(NotAnOrder,))
    reasons = {(task.poison.reason, task.poison.unexpected) for (task,) in lanes_of(batch) if task.poison}
    assert reasons == {("no lines", False)}
    with pytest.raises(SystemicFailure):
        batch_of(*records, routes=routed_to(refuse))


def test_what_pydantic_refuses_is_a_bad_record() -> None:
    class Lead(pydantic.BaseModel):
        email: str

    def read(change: Change) -> Mail:
        return Mail(Lead(**change.image).email)

    batch = batch_of(*[made(str(number)) for number in range(12)], routes=routed_to(read))
    assert {task.poison.unexpected for (task,) in lanes_of(batch) if task.poison} == {False}
    assert len(lanes_of(batch)) == 12


def test_a_handler_is_told_what_became_of_an_item_that_was_another_entity() -> None:
    told: list[tuple[str, Kind, str]] = []
    routes = Router()
    for entity in ("Draft", "Order"):
        for register in (routes.on_insert, routes.on_modify, routes.on_remove):

            def note(change: Change, entity: str = entity) -> None:
                told.append((entity, change.kind, change.image["note"]))

            register(entity)(note)
    draft, order = ({"pk": "1", "sk": "A", "entityType": entity, "note": entity} for entity in ("Draft", "Order"))
    batch_of(modified(draft, order), routes=routes)
    assert told == [("Draft", Kind.REMOVE, "Draft"), ("Order", Kind.INSERT, "Order")]


def test_changes_before_a_time_are_skipped_when_that_is_set() -> None:
    records = [made("a", "mail:1", at=CREATED - 1), made("b", "mail:2", at=CREATED)]
    batch = batch_of(*records, ignore_before=CREATED)
    assert ([wanted(task) for (task,) in lanes_of(batch)], batch.skipped) == ([[Mail("2")]], 1)


def test_changes_of_other_regions_are_skipped_when_that_is_set() -> None:
    item = {"pk": "THING#a", "sk": "A", "entityType": "Thing", "does": ["mail:1"]}
    records = [inserted({**item, "aws:rep:updateregion": region}) for region in ("eu-west-1", "us-east-1")]
    assert [len(lane) for lane in lanes_of(batch_of(*records))] == [2]
    batch = batch_of(*records, local_changes_only=True)
    assert ([len(lane) for lane in lanes_of(batch)], batch.skipped) == ([1], 1)


def test_an_effect_has_an_id_that_does_not_depend_on_neighbours_or_handlers() -> None:
    record = event(made("z"), made("a"))["Records"][1]

    def ids(*handlers: Any, name: str = "worker") -> dict[object, str]:
        routes = Router()
        for handler in handlers:
            routes.on_insert("Thing")(handler)
        sinks = (RecordingSink((Stock,), "stock", idempotent=True), RecordingSink((Mail,), "mail"))
        batch = Consumer(name, routes, sinks, SINK_OF).take([record], SystemicCheck())
        task = only_task(batch)
        return {value: Effect(value, task, place).id for place, value in enumerate(task.values)}

    def mail(_change: Change) -> Mail:
        return Mail("1")

    def more(_change: Change) -> list[object]:
        return [Mail("2"), Stock("1")]

    one, other = ids(mail), ids(more, mail)
    assert one[Mail("1")] == other[Mail("1")]
    assert len(set(other.values())) == 3
    assert one[Mail("1")].startswith(f"worker/{record['eventID']}.{record['dynamodb']['SequenceNumber']}/mail/")
    assert ids(mail, name="another")[Mail("1")] != one[Mail("1")], "two functions on one stream"


def test_equal_effects_of_one_record_are_numbered() -> None:
    task = only_task(batch_of(made("a", "mail:1", "mail:1", "mail:2")))
    first, second, third = [Effect(value, task, place).id for place, value in enumerate(task.values)]
    assert second == f"{first}~2"
    assert "~" not in third


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
    batch = taken(records)
    assert [[(wanted(task), task.poison is not None) for task in lane] for lane in lanes_of(batch)] == [
        [([], True)]
    ] * 2


def test_the_first_reason_stays_when_the_keys_are_bad_as_well() -> None:
    record = event(made("a", "invalid:first"))["Records"][0]
    record["dynamodb"]["Keys"] = {}
    assert only_task(taken([record])).poison.reason == "first"  # type: ignore[union-attr]  # it is poison


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
    task = only_task(taken([record], routes))
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

    task = only_task(batch_of(made("a"), routes=routed_to(Nameless())))
    assert task.poison is not None
    assert task.poison.handler is not None
    assert task.poison.handler.endswith("Nameless")
