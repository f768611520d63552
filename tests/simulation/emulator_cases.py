"""Calls that the AWS in memory and other people's DynamoDB have to answer alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.simulation.aws import INVENTORY

Call = tuple[str, Mapping[str, Any]]


def key(pk: str, sk: str = "S") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def item(pk: str, units: int) -> dict[str, Any]:
    return {**key(pk), "available": {"N": str(units)}}


def put(pk: str, units: int, **more: Any) -> dict[str, Any]:
    return {"TableName": INVENTORY, "Item": item(pk, units), **more}


def move(pk: str, expression: str, units: int, test: str | None = None, **more: Any) -> dict[str, Any]:
    request = {
        "TableName": INVENTORY,
        "Key": key(pk),
        "UpdateExpression": expression,
        "ExpressionAttributeValues": {":units": {"N": str(units)}},
        **more,
    }
    return request if test is None else {**request, "ConditionExpression": test}


def one_of(pk: str, *units: int) -> dict[str, Any]:
    """Empty an item that has one of several numbers of units."""
    values = {f":has{place}": {"N": str(count)} for place, count in enumerate(units)}
    return {
        "TableName": INVENTORY,
        "Key": key(pk),
        "UpdateExpression": "SET available = :none",
        "ConditionExpression": f"available IN ({', '.join(values)})",
        "ExpressionAttributeValues": {**values, ":none": {"N": "0"}},
    }


TAKE, GIVE, ENOUGH = "SET available = available - :units", "ADD available :units", "available >= :units"
SHOWN = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
NEW = {"ConditionExpression": "attribute_not_exists(pk)", **SHOWN}


def transact(*actions: Mapping[str, Any], token: str | None = None) -> Call:
    extra = {} if token is None else {"ClientRequestToken": token}
    return "transact_write_items", {"TransactItems": list(actions), **extra}


CASES: Mapping[str, Sequence[Call]] = {
    "put and get": [("put_item", put("a", 1)), ("get_item", {"TableName": INVENTORY, "Key": key("a")})],
    "get what is not there": [("get_item", {"TableName": INVENTORY, "Key": key("a")})],
    "put if new": [
        ("put_item", put("a", 1)),
        ("put_item", put("a", 2, ConditionExpression="attribute_not_exists(pk)")),
    ],
    "take": [("put_item", put("a", 3)), ("update_item", move("a", TAKE, 2, ENOUGH))],
    "take too much": [("put_item", put("a", 1)), ("update_item", move("a", TAKE, 2, ENOUGH))],
    "too much, shown": [("put_item", put("a", 1)), ("update_item", move("a", TAKE, 2, ENOUGH, **SHOWN))],
    "take of nothing": [("update_item", move("a", TAKE, 2, ENOUGH))],
    "take of nothing, unconditionally": [("update_item", move("a", TAKE, 2))],
    "one of several": [
        ("put_item", put("a", 3)),
        ("update_item", one_of("a", 2, 3)),
        ("update_item", one_of("a", 2)),
        ("update_item", one_of("b", 0)),
        ("get_item", {"TableName": INVENTORY, "Key": key("a")}),
    ],
    "give": [("put_item", put("a", 3)), ("update_item", move("a", GIVE, 2))],
    "give what is not there": [("update_item", move("a", GIVE, 2))],
    "give to what is no number": [
        ("put_item", {"TableName": INVENTORY, "Item": {**key("a"), "available": {"S": "many"}}}),
        ("update_item", move("a", GIVE, 2)),
        ("update_item", move("a", TAKE, 2)),
    ],
    "a transaction gives to what is no number": [
        ("put_item", {"TableName": INVENTORY, "Item": {**key("a"), "available": {"S": "many"}}}),
        transact({"Put": put("b", 1)}, {"Update": move("a", GIVE, 2)}),
    ],
    "sums of thirty-eight digits": [
        ("put_item", put("a", 10**37)),
        ("update_item", move("a", GIVE, 1)),
        ("update_item", {**move("a", GIVE, 1), "ExpressionAttributeValues": {":units": {"N": "0.5"}}}),
        ("get_item", {"TableName": INVENTORY, "Key": key("a")}),
    ],
    "delete many": [
        ("put_item", put("a", 3)),
        (
            "batch_write_item",
            {"RequestItems": {INVENTORY: [{"DeleteRequest": {"Key": key(name)}} for name in ("a", "b")]}},
        ),
    ],
    "delete": [("put_item", put("a", 3)), ("delete_item", {"TableName": INVENTORY, "Key": key("a")})],
    "a missing version counts from zero": [
        ("put_item", put("a", 3)),
        (
            "update_item",
            {
                **move("a", "SET version = if_not_exists(version, :zero) + :units", 1),
                "ExpressionAttributeValues": {":units": {"N": "1"}, ":zero": {"N": "0"}},
            },
        ),
    ],
    "names and words": [
        ("put_item", put("a", 3)),
        (
            "update_item",
            {
                "TableName": INVENTORY,
                "Key": key("a"),
                "UpdateExpression": "SET #state = :new, note = :new",
                "ConditionExpression": "attribute_exists(pk) AND (#state = :new OR NOT attribute_exists(#state))",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {":new": {"S": "x"}},
            },
        ),
    ],
    "all of a transaction": [transact({"Put": put("a", 1, **NEW)}, {"Put": put("b", 2, **NEW)})],
    "nothing of a transaction": [
        ("put_item", put("a", 1)),
        transact({"Put": put("b", 2, **NEW)}, {"Update": move("a", TAKE, 2, ENOUGH, **SHOWN)}),
    ],
    "two reasons": [
        ("put_item", put("a", 1)),
        transact({"Put": put("a", 2, **NEW)}, {"Update": move("b", TAKE, 2, ENOUGH, **SHOWN)}, {"Put": put("c", 1)}),
    ],
    "a hundred actions": [transact(*[{"Put": put(f"{n:03}", n, **NEW)} for n in range(100)])],
    "one action too many": [transact(*[{"Put": put(f"{n:03}", n)} for n in range(101)])],
    "the last of a hundred fails and shows its item": [
        ("put_item", put("099", 1)),
        transact(*[{"Put": put(f"{n:03}", n, **NEW)} for n in range(100)]),
    ],
    "each of a hundred fails and shows its item": [
        *[("put_item", put(f"{n:03}", n)) for n in range(100)],
        transact(*[{"Update": move(f"{n:03}", TAKE, n + 1, ENOUGH, **SHOWN)} for n in range(100)]),
    ],
    "a token comes again": [
        ("put_item", put("a", 3)),
        transact({"Update": move("a", GIVE, 2)}, token="t"),
        transact({"Update": move("a", GIVE, 2)}, token="t"),
    ],
    "a token comes again for something else": [
        ("put_item", put("a", 3)),
        transact({"Update": move("a", GIVE, 2)}, token="u"),
        transact({"Update": move("a", GIVE, 1)}, token="u"),
    ],
    "an item that is not shown": [
        ("put_item", put("a", 1)),
        transact({"Put": put("a", 2, ConditionExpression="attribute_not_exists(pk)")}),
    ],
    "an item twice in a transaction": [transact({"Put": put("a", 1)}, {"Put": put("a", 2)})],
    "read many": [
        ("put_item", put("a", 1)),
        ("batch_get_item", {"RequestItems": {INVENTORY: {"Keys": [key("a"), key("b")], "ConsistentRead": True}}}),
    ],
    "read one twice": [("batch_get_item", {"RequestItems": {INVENTORY: {"Keys": [key("a"), key("a")]}}})],
    "read too many": [
        ("batch_get_item", {"RequestItems": {INVENTORY: {"Keys": [key(str(n)) for n in range(101)]}}}),
    ],
    "write many": [
        (
            "batch_write_item",
            {"RequestItems": {INVENTORY: [{"PutRequest": {"Item": item(str(n), n)}} for n in range(25)]}},
        ),
    ],
    "write too many": [
        (
            "batch_write_item",
            {"RequestItems": {INVENTORY: [{"PutRequest": {"Item": item(str(n), n)}} for n in range(26)]}},
        ),
    ],
    "write one twice": [
        ("batch_write_item", {"RequestItems": {INVENTORY: [{"PutRequest": {"Item": item("a", n)}} for n in range(2)]}}),
    ],
    "no such table": [("get_item", {"TableName": "nothing", "Key": key("a")})],
    "a value that is not used": [("update_item", move("a", "SET available = :new", 2))],
    "a value too many": [
        ("update_item", {**move("a", GIVE, 2), "ExpressionAttributeValues": {":units": {"N": "1"}, ":x": {"N": "1"}}}),
    ],
}
