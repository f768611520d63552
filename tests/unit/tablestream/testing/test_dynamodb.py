"""The DynamoDB in memory: faults on order, what is left unprocessed, kinds of keys, numbers, and what it refuses.

That it answers as DynamoDB does is tested in `tests/contracts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tablestream.testing import client_error, image
from tablestream.testing.dynamodb import MemoryDynamoDB
from tablestream.testing.expressions import UnsupportedRequest

LOST = ReadTimeoutError(endpoint_url="https://dynamodb")


@pytest.fixture
def db() -> MemoryDynamoDB:
    made = MemoryDynamoDB()
    made.create("stock", "pk")
    return made


def put(pk: str, units: int = 1) -> dict[str, Any]:
    return {"TableName": "stock", "Item": image({"pk": pk, "units": units})}


def add(pk: str, units: object) -> dict[str, Any]:
    return {
        "TableName": "stock",
        "Key": image({"pk": pk}),
        "UpdateExpression": "ADD units :units",
        "ExpressionAttributeValues": image({":units": units}),
    }


def units(db: MemoryDynamoDB) -> dict[str, str]:
    return {key[0]: item["units"]["N"] for key, item in db.tables["stock"].items.items()}


def raising(error: Exception, *operations: str) -> Any:
    def hook(operation: str, _request: Mapping[str, Any]) -> None:
        if operation in operations:
            raise error

    return hook


def test_what_is_raised_before_a_request_keeps_it_from_taking_effect(db: MemoryDynamoDB) -> None:
    db.before = raising(client_error("ThrottlingException"), "PutItem")
    with pytest.raises(ClientError, match="ThrottlingException"):
        db.put_item(**put("a"))
    assert units(db) == {}
    db.batch_write_item(RequestItems={"stock": [{"PutRequest": {"Item": put("a")["Item"]}}]})
    assert units(db) == {"a": "1"}


def test_what_is_raised_after_a_request_loses_the_answer_only(db: MemoryDynamoDB) -> None:
    db.after = raising(LOST, "TransactWriteItems")
    for _ in range(2):
        with pytest.raises(ReadTimeoutError):
            db.transact_write_items(TransactItems=[{"Update": add("a", 2)}], ClientRequestToken="t")
    assert units(db) == {"a": "2"}, "the token stands for one request"


def test_a_rival_may_come_first(db: MemoryDynamoDB) -> None:
    rival = MemoryDynamoDB()
    rival.tables = db.tables
    db.before = lambda _operation, _request: rival.put_item(**put("a", 7))
    with pytest.raises(ClientError) as raised:
        db.put_item(
            **put("a"), ConditionExpression="attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD"
        )
    answer: Any = raised.value.response
    assert (answer["Error"]["Code"], answer["Item"]["units"]) == ("ConditionalCheckFailedException", {"N": "7"})


def test_an_action_may_be_given_a_reason_of_its_own(db: MemoryDynamoDB) -> None:
    db.reason_against = lambda action: {"Code": "TransactionConflict"} if "Update" in action else None
    with pytest.raises(ClientError) as raised:
        db.transact_write_items(TransactItems=[{"Put": put("a")}, {"Update": add("b", 1)}])
    reasons: Any = raised.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "TransactionConflict"]
    assert units(db) == {}


def test_what_a_batch_does_not_process_is_told(db: MemoryDynamoDB) -> None:
    db.processes = 2
    entries = [{"PutRequest": {"Item": put(pk)["Item"]}} for pk in "abc"]
    assert db.batch_write_item(RequestItems={"stock": entries}) == {"UnprocessedItems": {"stock": entries[2:]}}
    keys = [image({"pk": pk}) for pk in "abc"]
    read = db.batch_get_item(RequestItems={"stock": {"Keys": keys, "ConsistentRead": True}})
    assert [item["pk"]["S"] for item in read["Responses"]["stock"]] == ["a", "b"]
    assert read["UnprocessedKeys"] == {"stock": {"Keys": keys[2:], "ConsistentRead": True}}


def test_a_batch_deletes_too(db: MemoryDynamoDB) -> None:
    db.put_item(**put("a"))
    entries = [{"DeleteRequest": {"Key": image({"pk": "a"})}}, {"DeleteRequest": {"Key": image({"pk": "b"})}}]
    assert db.batch_write_item(RequestItems={"stock": entries}) == {"UnprocessedItems": {}}
    assert units(db) == {}


def test_keys_are_text_numbers_or_binary_and_equal_numbers_are_one_key() -> None:
    db = MemoryDynamoDB()
    table = db.create("odd", "pk", "sk")
    db.put_item(TableName="odd", Item={"pk": {"B": b"\xff"}, "sk": {"N": "10"}, "x": {"S": "first"}})
    db.put_item(TableName="odd", Item={"pk": {"B": "/w=="}, "sk": {"N": "1E+1"}, "x": {"S": "second"}})
    assert list(table.items) == [(b"\xff", Decimal(10))]
    for wrong in ({"BOOL": True}, {"S": ""}, {"N": ["1"]}):
        with pytest.raises(ClientError, match="ValidationException"):
            db.get_item(TableName="odd", Key={"pk": wrong, "sk": {"N": "1"}})


@pytest.mark.parametrize(
    ("first", "added", "sum_of_both"),
    [
        (Decimal("1E+2"), Decimal("1E+2"), "200"),
        (Decimal("0.1"), Decimal("0.2"), "0.3"),
        (10**37, 1, "1" + "0" * 36 + "1"),
        (1, -1, "0"),
    ],
)
def test_sums_are_exact_and_written_as_dynamodb_does(
    db: MemoryDynamoDB, first: object, added: object, sum_of_both: str
) -> None:
    for amount in (first, added):
        db.update_item(**add("a", amount))
    assert units(db) == {"a": sum_of_both}


@pytest.mark.parametrize(
    ("before", "added"), [("text", 1), (Decimal("9E+125"), Decimal("9E+125")), (10**37, Decimal("0.01"))]
)
def test_a_sum_that_cannot_be_is_refused_or_cancels_with_a_reason(db: MemoryDynamoDB, before: Any, added: Any) -> None:
    db.put_item(TableName="stock", Item=image({"pk": "a", "units": before}))
    with pytest.raises(ClientError, match="ValidationException"):
        db.update_item(**add("a", added))
    with pytest.raises(ClientError) as raised:
        db.transact_write_items(TransactItems=[{"Put": put("b")}, {"Update": add("a", added)}])
    reasons: Any = raised.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ValidationError"]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("get_item", {"TableName": "stock", "Key": image({"pk": "a"}), "ProjectionExpression": "units"}),
        ("put_item", {**put("a"), "Expected": {}}),
        ("put_item", {**put("a"), "ConditionExpression": "?"}),
        ("put_item", {**put("a"), "ConditionExpression": "size(units)"}),
        ("update_item", {**add("a", 1), "ReturnValues": "UPDATED_NEW"}),
        ("update_item", add("a", {"a"})),
        ("batch_get_item", {"RequestItems": {"stock": {"Keys": [image({"pk": "a"})], "AttributesToGet": ["pk"]}}}),
        ("transact_write_items", {"TransactItems": [{"Get": {"TableName": "stock", "Key": image({"pk": "a"})}}]}),
    ],
)
def test_what_it_does_not_know_is_refused_loudly(db: MemoryDynamoDB, method: str, request_: Any) -> None:
    with pytest.raises(UnsupportedRequest):
        getattr(db, method)(**request_)
