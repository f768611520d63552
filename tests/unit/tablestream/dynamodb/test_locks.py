"""Items changed together under a lock: the second of two is told, time and version are asked for, calls are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ReadTimeoutError

from tablestream import Backoff, Run
from tablestream.dynamodb import (
    Check,
    ConditionFailed,
    Delete,
    InvalidRequest,
    ItemStore,
    Lock,
    NotFound,
    OutcomeUnknown,
    Put,
    RaceCondition,
    Table,
    TransactionCancelled,
    Unavailable,
    Update,
)
from tablestream.testing import FakeClock
from tests.unit.tablestream.dynamodb.calls_of import Counted

KEY = {"pk": "GAME#1", "sk": "BOARD"}
OTHER = {"pk": "GAME#1", "sk": "CLOCK"}
DAY = 24 * 3600


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def store(counted: Counted) -> ItemStore[dict[str, Any]]:
    return ItemStore(counted.table)


Store = ItemStore[dict[str, Any]]


def test_one_or_several_are_set_read_and_deleted(store: Store, counted: Counted) -> None:
    store.set({**KEY, "n": 1})
    store.set({**KEY, "n": 2}, {**OTHER, "n": 3})
    assert store.get(KEY) == {**KEY, "n": 2}
    missing = {"pk": "GAME#1", "sk": "NONE"}
    assert store.get_many([OTHER, missing, KEY]) == [{**OTHER, "n": 3}, None, {**KEY, "n": 2}]
    store.delete(KEY)
    store.delete(OTHER, missing)
    assert store.get_many([KEY, OTHER]) == [None, None]
    assert counted.calls == [
        *("PutItem", "BatchWriteItem", "GetItem", "BatchGetItem", "DeleteItem", "BatchWriteItem", "BatchGetItem")
    ]
    store.set()
    store.delete()
    assert len(counted.calls) == 7


def test_what_could_not_be_written_is_told(store: Store, counted: Counted) -> None:
    counted.dynamodb.processes = 0
    with pytest.raises(Unavailable, match="2 of 2 items could not be written"):
        store.set({**KEY, "n": 1}, {**OTHER, "n": 1})


def test_of_two_who_have_read_the_same_the_second_is_told(store: Store) -> None:
    mine, yours = store.lock(KEY), store.lock(KEY)
    store.set_atomic(mine, {**KEY, "by": "me"}, {**OTHER, "by": "me"})
    with pytest.raises(RaceCondition, match="somebody else has changed what is under the lock"):
        store.set_atomic(yours, {**KEY, "by": "you"})
    assert store.get_many([KEY, OTHER]) == [{**KEY, "by": "me"}, {**OTHER, "by": "me"}]
    again = store.lock(KEY)
    store.set_atomic(again, {**KEY, "by": "you"})
    with pytest.raises(RaceCondition):
        store.set_atomic(mine, {**KEY, "by": "me"})
    assert store.get(KEY) == {**KEY, "by": "you"}


def test_a_holder_goes_on_with_one_call_a_change(store: Store, counted: Counted) -> None:
    lock = store.lock(KEY)
    for number in range(3):
        store.set_atomic(lock, {**KEY, "n": number})
    assert counted.calls == ["GetItem", *["TransactWriteItems"] * 3]
    assert (lock.version, store.lock(KEY).version) == (3, 3)


def test_a_read_at_one_moment_and_a_change_are_two_calls(store: Store, counted: Counted) -> None:
    store.set({**KEY, "n": 1})
    counted.calls.clear()
    held = store.read(KEY, OTHER, KEY)
    assert held.items == [None, {**KEY, "n": 1}]
    store.set_atomic(held.lock, {**OTHER, "n": 2})
    assert counted.calls == ["TransactGetItems", "TransactWriteItems"]


def test_reads_write_nothing_and_are_consistent(store: Store, counted: Counted) -> None:
    store.lock(KEY)
    store.get(KEY)
    store.get_many([KEY])
    store.read(KEY)
    assert counted.memory.items == {}
    for request in counted.requests:
        read = request if "RequestItems" not in request else next(iter(request["RequestItems"].values()))
        assert read.get("ConsistentRead") or "TransactItems" in request


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_lock_whose_time_is_over_is_of_no_use_and_takes_no_call(store: Store, counted: Counted) -> None:
    lock = store.lock(KEY)
    counted.clock.sleep(DAY)
    counted.calls.clear()
    with pytest.raises(RaceCondition, match="the lock's time is over"):
        store.set_atomic(lock, {**KEY, "n": 1})
    assert counted.calls == []


def test_a_lock_that_time_to_live_removed_and_somebody_made_anew_is_another(store: Store, counted: Counted) -> None:
    mine = store.lock(KEY)
    store.set_atomic(mine, {**KEY, "by": "me"})
    counted.clock.sleep(60)
    counted.memory.store(("GAME#1", "BOARD#LOCK"), None)
    yours = store.lock(KEY)
    store.set_atomic(yours, {**KEY, "by": "you"})
    assert mine.version == yours.version == 1
    with pytest.raises(RaceCondition):
        store.set_atomic(mine, {**KEY, "by": "me"})
    assert store.get(KEY) == {**KEY, "by": "you"}


def test_one_that_is_read_in_its_last_hour_is_renewed(store: Store, counted: Counted) -> None:
    store.set_atomic(store.lock(KEY), {**KEY, "n": 1})
    counted.clock.sleep(DAY - 3601)
    early = store.lock(KEY)
    counted.clock.sleep(2)
    late = store.lock(KEY)
    counted.clock.sleep(3700)
    with pytest.raises(RaceCondition):
        store.set_atomic(early, {**KEY, "n": 2})
    store.set_atomic(late, {**KEY, "n": 3})
    item = counted.memory.items["GAME#1", "BOARD#LOCK"]
    assert (item["version"], item["ttl"]) == ({"N": "2"}, {"N": str(late.expires)})
    assert late.expires == int(counted.clock.now()) - 3700 + DAY


def test_one_whose_time_is_over_and_that_is_still_there_is_taken_over_by_one(store: Store, counted: Counted) -> None:
    store.set_atomic(store.lock(KEY), {**KEY, "n": 1})
    counted.clock.sleep(2 * DAY)
    mine, yours = store.lock(KEY), store.lock(KEY)
    store.set_atomic(mine, {**KEY, "by": "me"})
    assert mine.version == 2
    with pytest.raises(RaceCondition):
        store.set_atomic(yours, {**KEY, "by": "you"})


# --- what goes with a change -----------------------------------------------------------------------------------------


def test_an_item_may_be_an_action_and_its_refusal_is_told_by_its_place(store: Store) -> None:
    store.set({**KEY, "n": 1})
    lock = store.lock(KEY)
    store.set_atomic(lock, Update(KEY, add={"n": 1}), Put({**OTHER, "n": 1}, if_absent=True))
    with pytest.raises(TransactionCancelled) as told:
        store.set_atomic(lock, {**OTHER, "n": 5}, Update(KEY, set={"n": 9}, condition=Attr("n").eq(1)))
    assert told.value.failed == (1,)
    assert isinstance(told.value.reasons[1], ConditionFailed)
    with pytest.raises(TransactionCancelled) as told:
        store.set_atomic(lock, Check({"pk": "GAME#2", "sk": "BOARD"}))
    assert isinstance(told.value.reasons[0], NotFound)
    store.set_atomic(lock, Delete(OTHER))
    assert (lock.version, store.get(OTHER)) == (2, None)


def test_the_lock_has_the_attributes_that_are_wished(counted: Counted) -> None:
    store = ItemStore(counted.table, lock_attributes={"entityType": "Lock"})
    store.set_atomic(store.lock(KEY), {**KEY, "n": 1})
    item = counted.memory.items["GAME#1", "BOARD#LOCK"]
    assert item["entityType"] == {"S": "Lock"}
    assert item["ttl"] == {"N": str(int(counted.clock.now()) + DAY)}


def test_after_a_lost_answer_the_lock_refuses_what_took_effect(store: Store, counted: Counted) -> None:
    lock = store.lock(KEY)

    def lose(operation: str, _: Mapping[str, Any]) -> None:
        if operation == "TransactWriteItems":
            raise ReadTimeoutError(endpoint_url="https://dynamodb")

    counted.dynamodb.after = lose
    with pytest.raises(OutcomeUnknown):
        store.set_atomic(lock, {**KEY, "n": 1})
    counted.dynamodb.after = lambda *_: None
    with pytest.raises(RaceCondition):
        store.set_atomic(lock, {**KEY, "n": 1})
    assert store.lock(KEY).version == 1


def test_a_change_of_somebody_else_that_is_under_way_is_a_race(store: Store, counted: Counted) -> None:
    lock = store.lock(KEY)

    def reason_against(action: Mapping[str, Any]) -> dict[str, str]:
        ((_, request),) = action.items()
        is_lock = request.get("Item", {}).get("sk") == {"S": "BOARD#LOCK"}
        return {"Code": "TransactionConflict" if is_lock else "ConditionalCheckFailed"}

    counted.dynamodb.reason_against = reason_against
    with pytest.raises(RaceCondition):
        store.set_atomic(lock, Put({**KEY, "n": 1}, if_absent=True))


# --- change ----------------------------------------------------------------------------------------------------------


def counted_up(items: list[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
    (item,) = items
    return [{**KEY, "n": 1 if item is None else item["n"] + 1}]


def test_change_takes_two_calls_and_one_of_a_holder(store: Store, counted: Counted) -> None:
    held = store.change(KEY, counted_up)
    assert counted.calls == ["TransactGetItems", "TransactWriteItems"]
    for _ in range(3):
        held = store.change(KEY, counted_up, held=held)
    assert counted.calls[2:] == ["TransactWriteItems"] * 3
    assert held.items == [{**KEY, "n": 4}]
    assert store.get(KEY) == {**KEY, "n": 4}


def test_change_reads_again_after_a_race_and_waits_before(store: Store, counted: Counted) -> None:
    held = store.change(KEY, counted_up)
    store.change(KEY, counted_up)
    counted.calls.clear()
    before = counted.clock.now()
    held = store.change(KEY, counted_up, held=held)
    assert counted.calls == ["TransactWriteItems", "TransactGetItems", "TransactWriteItems"]
    assert counted.clock.now() > before
    assert held.items == [{**KEY, "n": 3}]


def test_change_gives_up_when_there_are_no_more_waits(store: Store) -> None:
    def disturbed(items: list[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
        store.set_atomic(store.lock(KEY), {**KEY, "n": 100})
        return counted_up(items)

    with pytest.raises(RaceCondition):
        store.change(KEY, disturbed)
    assert store.get(KEY) == {**KEY, "n": 100}


def test_change_removes_an_item_and_writes_another_together(store: Store) -> None:
    store.set({**KEY, "n": 1})
    store.change(KEY, lambda items: [None, {**OTHER, "was": (items[0] or {})["n"]}], keys=[KEY, OTHER])
    assert store.get_many([KEY, OTHER]) == [None, {**OTHER, "was": 1}]


def test_change_writes_an_item_that_the_function_changed_in_place(store: Store) -> None:
    store.set({**KEY, "n": 1})

    def in_place(items: list[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
        if items[0] is not None:
            items[0]["n"] = 2
        return items

    store.change(KEY, in_place)
    assert store.get(KEY) == {**KEY, "n": 2}


def test_change_wants_an_item_back_for_each_key(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="wanted 2 items back, one for each key, got 1"):
        store.change(KEY, lambda items: items[:1], keys=[KEY, OTHER])


# --- partitions and types --------------------------------------------------------------------------------------------


def test_a_lock_that_is_none_and_a_table_without_a_sort_key_are_refused(store: Store, counted: Counted) -> None:
    with pytest.raises(InvalidRequest, match="lock: wanted a Lock"):
        store.set_atomic({"version": 1}, {**KEY})  # type: ignore[arg-type]
    counted.dynamodb.create("plain", "id")
    plain = ItemStore(Table("plain", counted.dynamodb, key="id"))
    with pytest.raises(InvalidRequest, match="wanted a table with a sort key"):
        plain.query("a")
    lock = plain.lock({"id": "a"})
    plain.set_atomic(lock, {"id": "a", "n": 1})
    assert plain.get({"id": "a#LOCK"}) is not None


@dataclass(frozen=True)
class Board:
    """A value of a class of one's own."""

    game: str
    moves: int


class Boards:
    """Turns boards into items and back."""

    def encode(self, value: Board, /) -> Mapping[str, Any]:
        return {"pk": f"GAME#{value.game}", "sk": "BOARD", "moves": value.moves}

    def decode(self, item: dict[str, Any], /) -> Board:
        return Board(item["pk"].removeprefix("GAME#"), item["moves"])


def test_values_of_a_class_go_through_a_codec(counted: Counted) -> None:
    boards = ItemStore(counted.table, Boards())
    boards.set(Board("1", 0))
    held = boards.change(KEY, lambda items: [Board("1", items[0].moves + 1 if items[0] else 1)])
    assert held.items == boards.get_many([KEY]) == [Board("1", 1)]
    assert isinstance(held.lock, Lock)


def test_a_table_lends_its_clock_and_its_backoff() -> None:
    counted = Counted(Run(clock=FakeClock(5.0), backoff=Backoff(tries=1)))
    assert ItemStore(counted.table).lock(KEY).expires == 5 + DAY
