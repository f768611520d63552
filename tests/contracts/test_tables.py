"""The rules of a `Table` for single items, batches and transactions, in moto and in DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr

from tablestream.dynamodb import (
    AlreadyExists,
    Append,
    Check,
    ConditionFailed,
    Delete,
    IfAbsent,
    InvalidRequest,
    InvalidValue,
    ItemTooLarge,
    Misconfigured,
    NotFound,
    Nulls,
    Put,
    Returns,
    Table,
    TableAction,
    TransactionCancelled,
    Update,
    VersionConflict,
)
from tablestream.dynamodb.items import Key as PrimaryKey

KEY = {"pk": "USER#é", "sk": "ORDER#1"}
ONE = {"pk": "a", "sk": "1"}
ITEM: Mapping[str, Any] = {
    **KEY,
    "text": "a\u2028\U0001f600",
    "empty": "",
    "whole": 10**37,
    "negative": -5,
    "price": Decimal("0.10"),
    "tiny": Decimal("1E-130"),
    "binary": b"\x00\xff",
    "true": True,
    "false": False,
    "list": [1, "a", None, [], {}, b""],
    "map": {"a": {"b": [{"c": Decimal("1.5")}]}, "bytes": b"1"},
    "texts": {"a", ""},
    "numbers": {1, Decimal("2.5")},
    "binaries": {b"\x01", b"\x02"},
    "status": "new",
    "name": "a reserved word",
    "a.b": "a dot",
}


def another(table: Table, **attributes: Any) -> dict[str, Any]:
    item = {"pk": "a", "sk": "1", **attributes}
    table.put(item)
    return item


# --- get and put -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("consistent", [False, True])
def test_an_item_comes_back_as_it_was_put(table: Table, consistent: bool) -> None:
    table.put(ITEM)
    found = table.get(KEY, consistent=consistent)
    assert found == ITEM
    assert isinstance(found["whole"], int)
    assert isinstance(found["price"], Decimal)


def test_what_was_got_can_be_put_again(table: Table) -> None:
    table.put(ITEM)
    found = table.get(KEY)
    assert found is not None
    table.put(found)
    assert table.get(KEY) == ITEM


def test_there_is_none(table: Table) -> None:
    assert table.get(KEY) is None


def test_fields_are_all_that_comes(table: Table) -> None:
    table.put(ITEM)
    assert table.get(KEY, fields=["name", "map.a", ("a.b",), "nothing"]) == {
        "name": "a reserved word",
        "map": {"a": {"b": [{"c": Decimal("1.5")}]}},
        "a.b": "a dot",
    }


def test_the_fields_of_an_entry_of_a_list(table: Table) -> None:
    table.put(ITEM)
    assert table.get(KEY, fields=["list[1]"]) == {"list": ["a"]}


def test_a_key_may_have_its_table(table: Table) -> None:
    table.put(ITEM)
    assert table.get(PrimaryKey.of(table.name, KEY)) == ITEM
    with pytest.raises(InvalidRequest, match="wanted a key of the table"):
        table.get(PrimaryKey.of("another", KEY))


def test_none_is_no_attribute_unless_the_table_keeps_it(table: Table, client: Any) -> None:
    item = {**KEY, "gone": None, "map": {"gone": None, "a": 1}, "list": [None]}
    table.put(item)
    assert table.get(KEY) == {**KEY, "map": {"a": 1}, "list": [None]}
    keeping = Table(table.name, client, nulls=Nulls.KEEP)
    keeping.put(item)
    assert table.get(KEY) == item


def test_a_put_replaces(table: Table) -> None:
    table.put(ITEM)
    table.put(KEY)
    assert table.get(KEY) == KEY


def test_a_put_where_there_must_be_none(table: Table) -> None:
    table.put(ITEM, if_absent=True)
    with pytest.raises(AlreadyExists) as told:
        table.put(KEY, if_absent=True)
    assert told.value.item == ITEM
    assert table.get(KEY) == ITEM


def test_a_put_under_a_condition(table: Table) -> None:
    item = another(table, status="new")
    with pytest.raises(ConditionFailed) as told:
        table.put({**item, "status": "old"}, condition=Attr("status").eq("other") | ~Attr("name").not_exists())
    assert type(told.value) is ConditionFailed
    assert told.value.item == item
    table.put({**item, "status": "old"}, condition=Attr("status").is_in(["other", "new"]))
    assert table.get(ONE) == {**item, "status": "old"}


@pytest.mark.parametrize(
    "condition",
    [
        Attr("name").eq("Ann"),
        Attr("name").ne("Bob"),
        Attr("name").begins_with("A"),
        Attr("count").between(1, 5) & Attr("count").gte(5) & Attr("count").lte(5) & Attr("count").gt(4),
        Attr("count").lt(6) | Attr("nothing").exists(),
        Attr("tags").contains("b"),
        Attr("name").size().eq(3),
        Attr("name").attribute_type("S"),
        Attr("address.city").eq("Bonn"),
        Attr("count").eq(Attr("same")),
        ~(Attr("name").eq("Bob") | Attr("count").is_in([1, 2])),
    ],
    ids=lambda condition: type(condition).__name__,
)
def test_every_condition_of_boto3(table: Table, condition: Any) -> None:
    item = another(table, name="Ann", count=5, same=5, tags={"a", "b"}, address={"city": "Bonn"})
    table.put(item, condition=condition)
    with pytest.raises(ConditionFailed):
        table.put(item, condition=~condition)


# --- refused before it is sent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "error", "told"),
    [
        ({**KEY, "a": 1.5}, InvalidValue, "a: wanted a Decimal or an int, got a float"),
        ({**KEY, "a": [{"b": float("nan")}]}, InvalidValue, r"a\[0\]\.b: wanted a Decimal or an int, got a float"),
        ({**KEY, "a": set()}, InvalidValue, "a: wanted a set of text, of numbers or of binary, not empty, got none"),
        ({**KEY, "a": Decimal("NaN")}, InvalidValue, "a: wanted a finite number"),
        ({**KEY, "a": object()}, InvalidValue, "a: wanted a value that DynamoDB has a type for, got object"),
        ({"pk": "a"}, InvalidRequest, "sk: wanted a value for the key"),
        ({"pk": "", "sk": "a"}, InvalidRequest, "pk: wanted 1 to 2048 bytes in a key attribute, got 0"),
        ({"pk": "é" * 1025, "sk": "a"}, InvalidRequest, "pk: wanted 1 to 2048 bytes in a key attribute, got 2050"),
        ({"pk": "a", "sk": "a" * 1025}, InvalidRequest, "sk: wanted 1 to 1024 bytes in a key attribute, got 1025"),
        ({"pk": "a", "sk": 5}, InvalidRequest, "sk: wanted a key attribute of type S, got N"),
        ({**KEY, "status": 5}, InvalidRequest, "status: wanted a key attribute of type S, got N"),
        ({**KEY, "rank": "5"}, InvalidRequest, "rank: wanted a key attribute of type N, got S"),
        ({**KEY, "createdAt": ""}, InvalidRequest, "createdAt: wanted 1 to 1024 bytes"),
        ({**KEY, "a": "é" * 204_800}, ItemTooLarge, "wanted an item of at most 409600 bytes, got"),
    ],
)
def test_what_dynamodb_would_refuse_is_not_sent(
    table: Table, client: Any, item: dict[str, Any], error: type[Exception], told: str
) -> None:
    sent: list[str] = []
    client.meta.events.register("before-call.dynamodb", lambda **_: sent.append("a call"))
    writes: list[Callable[[], object]] = [
        lambda: table.put(item),
        lambda: table.batch_write(puts=[item]),
        lambda: table.transact_write([Put(item)]),
    ]
    for write in writes:
        with pytest.raises(error, match=told):
            write()
    assert sent == []


def test_dynamodb_refuses_it_too(table: Table, client: Any) -> None:
    for item in [{"pk": {"S": ""}, "sk": {"S": "a"}}, {"pk": {"S": "a"}, "sk": {"S": "a" * 1025}}]:
        with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
            client.put_item(TableName=table.name, Item=item)


def test_an_item_of_exactly_400_kilobytes_is_written(table: Table) -> None:
    around = len("pkasksk1") - 2 + len("x")
    table.put({"pk": "a", "sk": "1", "x": "x" * (400 * 1024 - around)})


def test_an_item_of_a_byte_more_is_not(table: Table) -> None:
    around = len("pkasksk1") - 2 + len("x")
    with pytest.raises(ItemTooLarge) as told:
        table.put({"pk": "a", "sk": "1", "x": "x" * (400 * 1024 - around + 1)})
    assert told.value.size == 400 * 1024 + 1


def test_an_item_that_an_update_makes_too_large_is_refused(table: Table) -> None:
    another(table, x="x" * 300_000)
    with pytest.raises(ItemTooLarge):
        table.update({"pk": "a", "sk": "1"}, set={"y": "y" * 200_000})


# --- update ----------------------------------------------------------------------------------------------------------


def test_an_update_returns_the_item_as_it_is_then(table: Table) -> None:
    another(table, name="Ann", count=1, tags={"a", "b"}, gone=1, settings={"theme": "dark"}, items=[{"n": 1}], none=1)
    assert table.update(
        ONE,
        set={"name": "Bob", "settings.theme": "light", "items[0].n": 2, ("a.b",): 1, "none": None},
        add={"count": 2, "visits": 1},
        remove=["gone", "nothing"],
        delete={"tags": {"a"}},
    ) == {
        **ONE,
        "name": "Bob",
        "count": 3,
        "visits": 1,
        "tags": {"b"},
        "settings": {"theme": "light"},
        "items": [{"n": 2}],
        "a.b": 1,
    }


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        (Returns.NONE, {}),
        (Returns.ALL_OLD, {**ONE, "a": 1, "b": 1}),
        (Returns.ALL_NEW, {**ONE, "a": 2, "b": 1}),
        (Returns.UPDATED_OLD, {"a": 1}),
        (Returns.UPDATED_NEW, {"a": 2}),
    ],
)
def test_an_update_returns_what_is_asked_for(table: Table, returns: Returns, told: dict[str, Any]) -> None:
    another(table, a=1, b=1)
    assert table.update(ONE, set={"a": 2}, returns=returns) == told


def test_a_value_for_what_is_not_there_and_entries_at_the_end(table: Table) -> None:
    another(table, a=1)
    change: dict[Any, Any] = {"a": IfAbsent(5), "b": IfAbsent(5), "list": Append([1])}
    assert table.update(ONE, set=change) == {**ONE, "a": 1, "b": 5, "list": [1]}
    assert table.update(ONE, set=change) == {**ONE, "a": 1, "b": 5, "list": [1, 1]}


def test_an_update_begins_no_item_unless_it_may(table: Table) -> None:
    with pytest.raises(NotFound) as told:
        table.update(ONE, add={"count": 1})
    assert told.value.item is None
    assert table.get(ONE) is None
    assert table.update(ONE, add={"count": 1}, create=True) == {**ONE, "count": 1}
    assert table.update(ONE, add={"count": 1}, create=True) == {**ONE, "count": 2}


def test_an_update_under_a_condition(table: Table) -> None:
    item = another(table, status="new")
    with pytest.raises(ConditionFailed) as told:
        table.update(ONE, set={"status": "old"}, condition=Attr("status").eq("other"))
    assert type(told.value) is ConditionFailed
    assert told.value.item == item
    with pytest.raises(NotFound):
        table.update({"pk": "a", "sk": "2"}, set={"status": "old"}, condition=Attr("status").eq("other"))
    with pytest.raises(ConditionFailed) as told:
        table.update({"pk": "a", "sk": "2"}, set={"status": "old"}, condition=Attr("status").eq("other"), create=True)
    assert (type(told.value), told.value.item) == (ConditionFailed, None)
    assert table.get({"pk": "a", "sk": "2"}) is None


def test_a_version_is_that_of_the_item_and_counts_on(table: Table) -> None:
    another(table, version=1)
    assert table.update(ONE, set={"a": 1}, version=1)["version"] == 2
    with pytest.raises(VersionConflict) as told:
        table.update(ONE, set={"a": 2}, version=1)
    assert told.value.item == {**ONE, "version": 2, "a": 1}
    assert table.update(ONE, add={"version": 1}, version=2)["version"] == 3
    assert table.update(ONE, set={"version": 10}, version=3)["version"] == 10
    with pytest.raises(NotFound):
        table.update({"pk": "a", "sk": "2"}, set={"a": 2}, version=1)
    with pytest.raises(NotFound):
        table.update({"pk": "a", "sk": "2"}, set={"a": 2}, version=1, create=True)


def test_a_condition_beside_the_version_is_told_apart(table: Table) -> None:
    another(table, version=1, status="new")
    with pytest.raises(ConditionFailed) as told:
        table.update(ONE, set={"a": 1}, version=1, condition=Attr("status").eq("other"))
    assert type(told.value) is ConditionFailed


def test_an_update_of_nothing_is_refused(table: Table) -> None:
    another(table)
    with pytest.raises(InvalidRequest, match="wanted something to change"):
        table.update(ONE)


def test_dynamodb_itself_changes_no_attribute_of_a_key_and_none_twice(table: Table, client: Any) -> None:
    another(table)
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    for change in ("REMOVE pk", "REMOVE a, a", "REMOVE a, a.b", "REMOVE a SET a = if_not_exists(b, a)"):
        with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
            client.update_item(TableName=table.name, Key=key, UpdateExpression=change)


def test_dynamodb_itself_takes_an_item_once_in_a_transaction(table: Table, client: Any) -> None:
    put = {"Put": {"TableName": table.name, "Item": {"pk": {"S": "a"}, "sk": {"S": "1"}}}}
    with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
        client.transact_write_items(TransactItems=[put, put])


def test_what_dynamodb_says_of_a_request_is_told_apart(table: Table) -> None:
    another(table, a="text")
    with pytest.raises(InvalidRequest, match="`told` of this error has the words of AWS") as error:
        table.update(ONE, add={"a": 1})
    assert error.value.told


def test_an_update_that_does_not_fit_the_item_is_refused(table: Table) -> None:
    another(table, a="text")
    with pytest.raises(InvalidRequest) as told:
        table.update(ONE, add={"a": 1})
    assert "text" not in str(told.value)
    assert told.value.told
    with pytest.raises(InvalidRequest, match=r"wanted a path like settings\.theme"):
        table.update(ONE, set={"a..b": 1})


def test_none_is_written_by_an_update_where_the_table_keeps_it(table: Table, client: Any) -> None:
    another(table, a=1)
    keeping = Table(table.name, client, nulls=Nulls.KEEP)
    assert keeping.update(ONE, set={"a": None}) == {**ONE, "a": None}


# --- delete ----------------------------------------------------------------------------------------------------------


def test_a_delete_returns_the_item_as_it_was(table: Table) -> None:
    table.put(ITEM)
    assert table.delete(KEY) == ITEM
    assert table.get(KEY) is None
    assert table.delete(KEY) is None


def test_a_delete_of_what_must_be_there(table: Table) -> None:
    with pytest.raises(NotFound):
        table.delete(ONE, must_exist=True)
    item = another(table)
    assert table.delete(ONE, must_exist=True) == item


def test_a_delete_under_a_condition(table: Table) -> None:
    item = another(table, email="a@example.com", version=3)
    with pytest.raises(ConditionFailed) as told:
        table.delete(ONE, condition=Attr("email").eq("b@example.com"))
    assert (type(told.value), told.value.item) == (ConditionFailed, item)
    with pytest.raises(VersionConflict):
        table.delete(ONE, version=2)
    assert table.delete(ONE, version=3, condition=Attr("email").eq("a@example.com")) == item
    with pytest.raises(NotFound):
        table.delete(ONE, version=3)


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_of_reads_keeps_the_order_of_the_keys_and_names_what_is_missing(table: Table) -> None:
    assert not table.batch_write(puts=[{"pk": "a", "sk": f"{number}", "n": number} for number in range(205)])
    keys = [{"pk": "a", "sk": f"{number}"} for number in range(0, 250, 2)]
    got = table.batch_get([*reversed(keys), *keys], consistent=True)
    assert [item["n"] for item in got.items] == list(range(204, -1, -2))
    assert got.missing == [key for key in reversed(keys) if int(key["sk"]) > 204]
    assert table.batch_get([]) == ([], [])


def test_fields_of_a_batch_of_reads(table: Table) -> None:
    table.batch_write(puts=[{"pk": "a", "sk": "1", "name": "Ann", "n": 1}, {"pk": "a", "sk": "2", "n": 2}])
    keys = [{"pk": "a", "sk": "2"}, {"pk": "a", "sk": "1"}]
    assert table.batch_get(keys, fields=["name"]).items == [{}, {"name": "Ann"}]
    assert table.batch_get(keys, fields=["sk", "n"]).items == [{"sk": "2", "n": 2}, {"sk": "1", "n": 1}]


def test_a_batch_of_reads_of_several_tables(table: Table, client: Any) -> None:
    other = f"{table.name}-other"
    client.create_table(
        TableName=other,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    try:
        another(table)
        Table(other, client, key="id", types={"id": int}).put({"id": 5, "name": "Ann"})
        keys: list[Any] = [
            PrimaryKey.of(other, {"id": 5}),
            ONE,
            PrimaryKey.of(other, {"id": 6}),
            PrimaryKey.of(table.name, ONE),
        ]
        assert table.batch_get(keys) == ([{"id": 5, "name": "Ann"}, ONE], [keys[2]])
        assert table.transact_get(keys[:3]) == [{"id": 5, "name": "Ann"}, ONE, None]
    finally:
        client.delete_table(TableName=other)


def test_a_batch_of_writes_puts_and_deletes(table: Table) -> None:
    table.batch_write(puts=[{"pk": "a", "sk": f"{number}"} for number in range(30)])
    left = table.batch_write(
        puts=[{"pk": "b", "sk": f"{number}"} for number in range(30)],
        deletes=[{"pk": "a", "sk": f"{number}"} for number in range(29)],
    )
    assert not left
    assert left == ([], [], None)
    assert sorted((item["pk"], item["sk"]) for item in table.scan_items()) == sorted(
        [("a", "29"), *[("b", f"{number}") for number in range(30)]]
    )


def test_a_batch_of_writes_takes_each_key_once(table: Table) -> None:
    for puts, deletes in [([ONE, ONE], []), ([ONE], [ONE]), ([], [ONE, ONE])]:
        with pytest.raises(InvalidRequest, match="wanted each key once"):
            table.batch_write(puts, deletes)
    assert list(table.scan_items()) == []


def test_dynamodb_itself_takes_no_more_than_25_writes_in_a_batch(table: Table, client: Any) -> None:
    entries = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": f"{number}"}}}} for number in range(26)]
    with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
        client.batch_write_item(RequestItems={table.name: entries})


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_transaction_carries_out_all_of_its_actions(table: Table) -> None:
    another(table, balance=10)
    table.put({"pk": "b", "sk": "1"})
    table.put({"pk": "c", "sk": "1"})
    table.transact_write(
        [
            Put(ITEM, if_absent=True),
            Update(ONE, add={"balance": -3}, condition=Attr("balance").gte(3)),
            Delete({"pk": "b", "sk": "1"}, must_exist=True),
            Check({"pk": "c", "sk": "1"}),
            Check({"pk": "d", "sk": "1"}, Attr("pk").not_exists()),
        ]
    )
    assert table.transact_get([KEY, ONE, {"pk": "b", "sk": "1"}]) == [ITEM, {**ONE, "balance": 7}, None]


def test_fields_of_what_is_read_at_one_moment(table: Table) -> None:
    another(table, balance=7)
    assert table.transact_get([ONE], fields=["balance"]) == [{"balance": 7}]


def test_a_cancelled_transaction_tells_of_each_action_and_does_nothing(table: Table) -> None:
    one = another(table, version=2, status="new")
    actions: list[TableAction] = [
        Put(ONE, if_absent=True),
        Update({"pk": "b", "sk": "1"}, set={"a": 1}),
        Delete({"pk": "b", "sk": "2"}, must_exist=True),
        Check({"pk": "b", "sk": "3"}),
        Put({"pk": "c", "sk": "1"}),
    ]
    with pytest.raises(TransactionCancelled) as told:
        table.transact_write(actions)
    assert [type(reason) for reason in told.value.reasons] == [AlreadyExists, NotFound, NotFound, NotFound, type(None)]
    assert told.value.failed == (0, 1, 2, 3)
    reason = told.value.reasons[0]
    assert isinstance(reason, AlreadyExists)
    assert reason.item == one
    assert list(table.scan_items()) == [one]


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (Update(ONE, set={"a": 1}, version=1), VersionConflict),
        (Update(ONE, set={"a": 1}, version=2, condition=Attr("status").eq("old")), ConditionFailed),
        (Delete(ONE, version=1), VersionConflict),
        (Delete(ONE, condition=Attr("status").eq("old")), ConditionFailed),
        (Check(ONE, Attr("status").eq("old")), ConditionFailed),
        (Put(ONE, condition=Attr("status").eq("old")), ConditionFailed),
    ],
)
def test_a_reason_is_the_error_that_the_action_has_by_itself(table: Table, action: Any, error: type[Exception]) -> None:
    item = another(table, version=2, status="new")
    with pytest.raises(TransactionCancelled) as told:
        table.transact_write([Put(KEY), action])
    assert [type(reason) for reason in told.value.reasons] == [type(None), error]
    if issubclass(error, ConditionFailed):
        assert told.value.reasons[1].item == item  # type: ignore[union-attr]
    assert list(table.scan_items()) == [item]


def test_a_transaction_has_actions_of_several_tables(table: Table, client: Any) -> None:
    other = Table(f"{table.name}-other", client, key="id")
    client.create_table(
        TableName=other.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    try:
        table.transact_write([Put(ONE), Put({"id": "5"}, if_absent=True, table=other)])
        assert (table.get(ONE), other.get({"id": "5"})) == (ONE, {"id": "5"})
        with pytest.raises(TransactionCancelled) as told:
            table.transact_write([Put(ITEM), Put({"id": "5", "a": 1}, if_absent=True, table=other)])
        assert told.value.reasons[1].item == {"id": "5"}  # type: ignore[union-attr]
    finally:
        client.delete_table(TableName=other.name)


def test_a_transaction_under_the_token_of_one_that_took_effect_does_nothing(table: Table) -> None:
    another(table, n=1)
    token = uuid.uuid4().hex
    for _ in range(2):
        table.transact_write([Update(ONE, add={"n": 1})], token=token)
    assert table.get(ONE) == {**ONE, "n": 2}


def test_a_token_stands_for_one_transaction(table: Table) -> None:
    another(table, n=1)
    token = uuid.uuid4().hex
    table.transact_write([Update(ONE, add={"n": 1})], token=token)
    with pytest.raises(InvalidRequest):
        table.transact_write([Update(ONE, add={"n": 5})], token=token)


def test_a_transaction_has_1_to_100_actions(table: Table) -> None:
    table.transact_write([Put({"pk": "a", "sk": f"{number}"}) for number in range(100)])
    for count in (0, 101):
        with pytest.raises(InvalidRequest, match=f"wanted 1 to 100 items in a transaction, got {count}"):
            table.transact_write([Put({"pk": "a", "sk": f"{number}"}) for number in range(count)])
    with pytest.raises(InvalidRequest, match="wanted something to change"):
        table.transact_write([Update(ONE)])


# --- what is wrong with the table ------------------------------------------------------------------------------------


def test_a_table_that_is_not_there_is_a_misconfiguration(client: Any) -> None:
    nowhere = Table("nowhere", client)
    calls: list[Callable[[], object]] = [
        lambda: nowhere.get(ONE),
        lambda: nowhere.put(ONE),
        lambda: nowhere.batch_get([ONE]),
        lambda: nowhere.batch_write([ONE]),
        lambda: list(nowhere.scan_items()),
    ]
    for call in calls:
        with pytest.raises(Misconfigured, match="ResourceNotFoundException"):
            call()
