"""Idempotency keys: one effect and one answer a key, whatever is sent twice, at once, or with another body."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ReadTimeoutError

from tablestream import Backoff, Run
from tablestream.dynamodb import (
    ConditionFailed,
    Conflict,
    IdempotencyKey,
    IdempotencyKeyReused,
    IdempotencyKeys,
    InvalidRequest,
    InvalidValue,
    NotFound,
    OutcomeUnknown,
    Put,
    ReadyAction,
    Table,
    TableAction,
    TransactionCancelled,
    Update,
)
from tablestream.testing import FakeClock
from tablestream.testing.dynamodb import MemoryDynamoDB

COUNTER = {"pk": "COUNTER", "sk": "1"}
COUNT: list[TableAction] = [Update(COUNTER, add={"count": 1}, create=True)]
KEY = IdempotencyKey("counts/ann", "k1", {"by": 1})
DAY = 24 * 3600


class Counter:
    """A counter in a table, counted up under keys."""

    def __init__(self, seconds: int = DAY, attributes: Mapping[str, Any] | None = None) -> None:
        self.clock = FakeClock()
        self.dynamodb = MemoryDynamoDB(self.clock.now)
        self.memory = self.dynamodb.create("counts", "pk", "sk")
        self.table = Table("counts", self.dynamodb, run=Run(clock=self.clock, backoff=Backoff(tries=3)))
        self.keys = IdempotencyKeys(self.table, seconds=seconds, attributes=attributes or {})
        self.calls = 0
        self.dynamodb.before = self.called

    def called(self, *_: object) -> None:
        self.calls += 1

    @property
    def count(self) -> int:
        item = self.table.get(COUNTER)
        return 0 if item is None else int(item["count"])

    @property
    def records(self) -> list[dict[str, Any]]:
        return [item for (pk, _), item in self.memory.items.items() if str(pk).startswith("IDEM#")]


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_a_repeat_has_no_second_effect_and_the_first_answer(counter: Counter) -> None:
    first = counter.keys.transact(KEY, COUNT, {"id": "first", "price": Decimal("1.50")})
    assert (first.answer, first.replayed) == ({"id": "first", "price": Decimal("1.50")}, False)
    again = counter.keys.transact(KEY, COUNT, {"id": "second"})
    assert (again.answer, again.replayed) == ({"id": "first", "price": Decimal("1.5")}, True)
    assert counter.count == 1


@pytest.mark.parametrize("answer", [None, {"note": None, "lines": [{"name": None}]}, [], "text", 0, True])
def test_an_answer_is_given_again_as_it_was(counter: Counter, answer: object) -> None:
    assert [counter.keys.transact(KEY, COUNT, answer).answer for _ in range(2)] == [answer, answer]


def test_it_takes_one_call_the_first_time_and_each_other(counter: Counter) -> None:
    counter.keys.transact(KEY, COUNT, None)
    assert counter.calls == 1
    counter.keys.transact(KEY, COUNT, None)
    assert counter.calls == 2


def test_without_a_key_nothing_is_remembered(counter: Counter) -> None:
    for _ in range(2):
        assert counter.keys.transact(None, COUNT, "done") == ("done", False)
    assert (counter.count, counter.records) == (2, [])


def test_a_key_of_another_scope_and_another_key_are_others(counter: Counter) -> None:
    for key in (KEY, KEY._replace(scope="counts/bob"), KEY._replace(key="k2"), KEY._replace(key="K1")):
        assert not counter.keys.transact(key, COUNT, None).replayed
    assert counter.count == 4


@pytest.mark.parametrize("other", [{"by": 2}, {"by": "1"}, {"by": 1, "note": None}, {}, [1], None])
def test_another_request_under_a_known_key_is_refused(counter: Counter, other: object) -> None:
    counter.keys.transact(KEY, COUNT, "first")
    with pytest.raises(IdempotencyKeyReused, match="the key was used for another request"):
        counter.keys.transact(KEY._replace(asked=other), COUNT, "second")
    assert counter.count == 1


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({"a": 5}, {"a": Decimal("5.00")}),
        ({"a": {"x", "y"}}, {"a": frozenset({"y", "x"})}),
        ({"a": b"\x00"}, {"a": bytearray(b"\x00")}),
    ],
)
def test_what_means_the_same_has_one_fingerprint(one: object, same: object) -> None:
    assert KEY._replace(asked=one).fingerprint() == KEY._replace(asked=same).fingerprint()


def test_what_is_asked_is_kept_as_a_hash_only(counter: Counter) -> None:
    counter.keys.transact(KEY._replace(asked={"secret": "tell nobody"}), COUNT, None)
    (record,) = counter.records
    assert "tell nobody" not in repr(record)
    assert len(record["askedHash"]["S"]) == 64


def test_what_is_refused_is_not_remembered_and_may_succeed_later(counter: Counter) -> None:
    taking: list[TableAction] = [Update(COUNTER, add={"count": -1}, condition=Attr("count").gte(1))]
    for _ in range(2):
        with pytest.raises(TransactionCancelled, match="1 of 2 actions were refused") as told:
            counter.keys.transact(KEY, taking, "taken")
        assert [type(reason) for reason in told.value.reasons] == [NotFound]
    assert counter.records == []
    counter.table.put({**COUNTER, "count": 1})
    assert counter.keys.transact(KEY, taking, "taken") == ("taken", False)
    assert counter.keys.transact(KEY, taking, "taken") == ("taken", True)  # though there is nothing left to take


def test_the_reasons_are_those_of_the_actions_in_their_order(counter: Counter) -> None:
    counter.table.put({**COUNTER, "count": 0})
    here: list[TableAction] = [
        Put({"pk": "a", "sk": "1"}, if_absent=True),
        Update(COUNTER, add={"count": -1}, condition=Attr("count").gte(1)),
    ]
    with pytest.raises(TransactionCancelled) as told:
        counter.keys.transact(KEY, here, None)
    assert told.value.failed == (1,)
    reason = told.value.reasons[1]
    assert isinstance(reason, ConditionFailed)
    assert reason.item == {**COUNTER, "count": 0}


def test_a_key_is_forgotten_when_its_time_is_over_though_its_item_is_still_there() -> None:
    counter = Counter(seconds=60)
    counter.keys.transact(KEY, COUNT, "first")
    counter.clock.sleep(59)
    assert counter.keys.transact(KEY, COUNT, "second").replayed
    counter.clock.sleep(1)
    assert counter.keys.transact(KEY._replace(asked="anything"), COUNT, "third") == ("third", False)
    assert counter.count == 2
    (record,) = counter.records
    assert record["ttl"] == {"N": str(int(counter.clock.now()) + 60)}


def test_the_record_is_an_item_of_its_own_with_the_attributes_that_are_wished() -> None:
    counter = Counter(attributes={"entityType": "Idempotency"})
    counter.keys.transact(KEY, COUNT, None)
    (record,) = counter.records
    assert record["pk"] == record["sk"] == {"S": "IDEM#counts/ann#k1"}
    assert record["entityType"] == {"S": "Idempotency"}
    assert record["ttl"] == {"N": str(int(counter.clock.now()) + DAY)}


def test_a_table_with_one_key_attribute_keeps_records_too() -> None:
    dynamodb = MemoryDynamoDB()
    dynamodb.create("counts", "id")
    table = Table("counts", dynamodb, key="id")
    keys = IdempotencyKeys(table)
    counting: list[TableAction] = [Update({"id": "1"}, add={"count": 1}, create=True)]
    assert [keys.transact(KEY, counting, "once").replayed for _ in range(2)] == [False, True]
    assert table.get({"id": "1"}) == {"id": "1", "count": 1}


def test_an_action_that_is_ready_goes_with_the_others(counter: Counter) -> None:
    ready = ReadyAction(
        {
            "Update": {
                "TableName": "counts",
                "Key": {"pk": {"S": "COUNTER"}, "sk": {"S": "1"}},
                "UpdateExpression": "ADD #c :one",
                "ConditionExpression": "#c < :two",
                "ExpressionAttributeNames": {"#c": "count"},
                "ExpressionAttributeValues": {":one": {"N": "1"}, ":two": {"N": "2"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
    )
    counter.table.put({**COUNTER, "count": 1})
    counter.keys.transact(KEY, [ready], None)
    assert counter.count == 2
    with pytest.raises(TransactionCancelled) as told:
        counter.keys.transact(KEY._replace(key="k2"), [ready], None)
    (reason,) = told.value.reasons
    assert isinstance(reason, ConditionFailed)
    assert reason.item == {**COUNTER, "count": 2}


# --- at once, and lost answers ---------------------------------------------------------------------------------------


def test_while_another_send_of_the_key_is_under_way_nothing_is_refused(counter: Counter) -> None:
    """The other one may have done already what now stands in the way."""
    taking: list[TableAction] = [Update(COUNTER, add={"count": -1}, condition=Attr("count").gte(1))]
    counter.table.put({**COUNTER, "count": 1})
    counter.keys.transact(KEY, taking, "taken")
    busy = iter([{"Code": "TransactionConflict"}])
    counter.dynamodb.reason_against = lambda action: next(busy, None) if "Put" in action else None
    assert counter.keys.transact(KEY, taking, "again") == ("taken", True)


def test_a_key_that_is_always_under_way_ends_as_a_conflict(counter: Counter) -> None:
    def reason_against(action: Mapping[str, Any]) -> dict[str, str]:
        return {"Code": "TransactionConflict" if "Put" in action else "ConditionalCheckFailed"}

    counter.dynamodb.reason_against = reason_against
    with pytest.raises(Conflict):
        counter.keys.transact(KEY, COUNT, None)


def test_a_lost_answer_is_found_again_under_the_key(counter: Counter) -> None:
    def lose(*_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://dynamodb")

    counter.dynamodb.after = lose
    with pytest.raises(OutcomeUnknown):
        counter.keys.transact(KEY, COUNT, "first")
    counter.dynamodb.after = lambda *_: None
    assert counter.keys.transact(KEY, COUNT, "second") == ("first", True)
    assert counter.count == 1


# --- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (IdempotencyKey("a#b", "k", 1), "scope: wanted text without #"),
        (IdempotencyKey("a", 7, 1), "key: wanted text, got int"),  # type: ignore[arg-type]
        (IdempotencyKey("a", "k" * 1100, 1), "sk: wanted 1 to 1024 bytes"),
    ],
)
def test_a_key_that_can_be_none_is_refused_before_anything_is_sent(
    counter: Counter, key: IdempotencyKey, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        counter.keys.transact(key, COUNT, None)
    assert counter.calls == 0


def test_what_has_no_hash_is_refused_by_its_place(counter: Counter) -> None:
    with pytest.raises(InvalidValue, match=r"^price: wanted a Decimal or an int, got a float"):
        counter.keys.transact(KEY._replace(asked={"price": 1.5}), COUNT, None)
