"""The kit takes the values that DynamoDB takes from boto3, as DynamoDB keeps them, and refuses the others by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError, ParamValidationError

from tablestream.testing import Raw, image, inserted, modified, record, tagged


class Colour(StrEnum):
    RED = "red"


def nested(levels: int) -> Any:
    """Return text within lists, so that the text is on some level of an attribute."""
    value: Any = "x"
    for _ in range(levels - 1):
        value = [value]
    return value


def nested_tagged(levels: int) -> Any:
    value: Any = {"S": "x"}
    for _ in range(levels - 1):
        value = {"L": [value]}
    return value


TAKEN = [
    ("a", {"S": "a"}),
    ("", {"S": ""}),
    (Colour.RED, {"S": "red"}),
    (True, {"BOOL": True}),
    (None, {"NULL": True}),
    (1, {"N": "1"}),
    (-0, {"N": "0"}),
    (Decimal("-0.0"), {"N": "0"}),
    (Decimal("0E+10"), {"N": "0"}),
    (Decimal("-1.50"), {"N": "-1.5"}),
    (Decimal("1E+3"), {"N": "1000"}),
    (Decimal("1E-7"), {"N": "0.0000001"}),
    (10**37 + 1, {"N": "1" + "0" * 36 + "1"}),
    (Decimal("1E-130"), {"N": "0." + "0" * 129 + "1"}),
    (Decimal("9." + "9" * 37 + "E125"), {"N": "9" * 38 + "0" * 88}),
    (b"\x01", {"B": "AQ=="}),
    (b"", {"B": ""}),
    (bytearray(b"\x01"), {"B": "AQ=="}),
    (Binary(b"\x01"), {"B": "AQ=="}),
    ((1, "a"), {"L": [{"N": "1"}, {"S": "a"}]}),
    ([], {"L": []}),
    ({"b": {"a": None}}, {"M": {"b": {"M": {"a": {"NULL": True}}}}}),
    ({}, {"M": {}}),
    ({"b", "a"}, {"SS": ["a", "b"]}),
    ({""}, {"SS": [""]}),
    ({2, Decimal("1.0")}, {"NS": ["1", "2"]}),
    (frozenset({b"\x02", Binary(b"\x01")}), {"BS": ["AQ==", "Ag=="]}),
    (nested(32), nested_tagged(32)),
]

REFUSED = [
    (1.5, r"x: wanted a Decimal or an int, got a float"),
    (float("nan"), "x: wanted a Decimal or an int, got a float"),
    ([{"price": 1.5}], r"x\[0\]\.price: wanted a Decimal or an int, got a float"),
    (Decimal("NaN"), "x: wanted a finite number"),
    (Decimal("-Infinity"), "x: wanted a finite number"),
    (10**38 + 1, "x: wanted a number of 38 digits at most"),
    (Decimal("1E+126"), "x: wanted a number of 38 digits at most and a magnitude from 1E-130"),
    (Decimal("1E-131"), "x: wanted a number of 38 digits at most and a magnitude from 1E-130"),
    (set(), "x: wanted a set of text, of numbers or of binary, not empty, got none"),
    (frozenset(), "x: wanted a set of text, of numbers or of binary, not empty, got none"),
    ({"a": {1, "a"}}, r"x\.a: wanted a set of text, of numbers or of binary, not empty, got N and S"),
    ({b"a", "a"}, "x: wanted a set of text, of numbers or of binary, not empty, got B and S"),
    ({None}, "x: a member of the set: wanted a value that DynamoDB has a type for, got NoneType"),
    ({1.5}, r"x: a member of the set: wanted a Decimal or an int, got a float"),
    (range(3), "x: wanted a value that DynamoDB has a type for, got range"),
    (memoryview(b"a"), "x: wanted a value that DynamoDB has a type for, got memoryview"),
    (object(), "x: wanted a value that DynamoDB has a type for, got object"),
    ({"": 1}, r"x\.: wanted text that is not empty as a name, got str ''"),
    ({1: 2}, r"x\.1: wanted text that is not empty as a name, got int 1"),
    (nested(33), "wanted at most 32 levels of nesting"),
]


@pytest.mark.parametrize(("value", "tag"), TAKEN)
def test_a_value_gets_its_type_tag(value: object, tag: Any) -> None:
    made = tagged(value)
    assert made == tag
    assert [type(content) for content in made.values()] == [type(content) for content in tag.values()]


@pytest.mark.parametrize(("value", "told"), REFUSED)
def test_what_dynamodb_does_not_take_is_refused_by_the_attributes_name(value: object, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        image({"x": value})


def test_a_boolean_in_a_set_is_refused_although_boto3_makes_a_number_of_it() -> None:
    with pytest.raises(
        TypeError, match="x: a member of the set: wanted a value that DynamoDB has a type for, got bool"
    ):
        image({"x": {True}})


def test_an_item_holds_four_hundred_kilobytes() -> None:
    assert image({"x": "a" * (400 * 1024 - 1)})
    with pytest.raises(ValueError, match="the item: wanted at most 409600 bytes, got 409601"):
        image({"x": "a" * 400 * 1024})


@pytest.mark.parametrize("planted", ["broken", {"N": "NaN"}, {"S": "a" * 500_000}, {"SS": []}])
def test_a_raw_value_is_planted_as_it_is(planted: Any) -> None:
    assert image({"x": Raw(planted)}) == {"x": planted}


def test_a_table_may_have_one_key() -> None:
    made = inserted({"id": 5, "name": "Ann"}, keys=("id",))
    assert made["dynamodb"]["Keys"] == {"id": {"N": "5"}}


@pytest.mark.parametrize(
    ("item", "keys", "told"),
    [
        ({"id": 5, "name": "Ann"}, ("pk", "sk"), "the attributes pk and sk in the item, got id, name; say keys="),
        ({"pk": "a"}, ("pk", "sk"), "wanted the attributes pk and sk in the item, got pk; say keys="),
        ({}, ("id",), "wanted the attribute id in the item, got nothing; say keys="),
    ],
)
def test_the_error_about_other_keys_says_what_was_looked_for(
    item: dict[str, Any], keys: tuple[str, ...], told: str
) -> None:
    for made in (inserted, lambda item, **settings: record("INSERT", item, **settings)):
        with pytest.raises(ValueError, match=told.replace("(", r"\(")):
            made(item, keys=keys)


@pytest.mark.parametrize("key", [True, None, "", b"", ["a"], {"a"}, "x" * 2049])
def test_a_key_is_text_a_number_or_binary(key: Any) -> None:
    with pytest.raises(ValueError, match="pk: wanted text, a number or binary of 1 to 2048 bytes in a key"):
        inserted({"pk": key, "sk": 1})
    with pytest.raises(ValueError, match="sk: wanted text, a number or binary of 1 to 1024 bytes in a key"):
        inserted({"pk": "a", "sk": key})


def test_a_change_keeps_the_key_of_its_item() -> None:
    with pytest.raises(ValueError, match="wanted the same pk and sk before and after"):
        modified({"pk": "a", "sk": "b"}, {"pk": "a", "sk": "c"})


@pytest.fixture(scope="module")
def kept() -> Iterator[Callable[[object], Any]]:
    """Put a value into DynamoDB Local and return it with its tag as it is kept, binary values as base64 text."""
    endpoint = os.environ.get("DYNAMODB_LOCAL_ENDPOINT")
    if not endpoint:
        pytest.skip("DYNAMODB_LOCAL_ENDPOINT names no DynamoDB Local")
    session = boto3.Session("values", "values", region_name="eu-central-1")
    client = session.client("dynamodb", endpoint_url=endpoint)
    table = session.resource("dynamodb", endpoint_url=endpoint).create_table(
        TableName=f"values-{os.getpid()}",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def keep(value: Any) -> Any:
        table.put_item(Item={"pk": "a", "x": value})
        return sorted_sets(client.get_item(TableName=table.name, Key={"pk": {"S": "a"}})["Item"]["x"])

    yield keep
    table.delete()


def sorted_sets(value: Any) -> Any:
    ((tag, content),) = value.items()
    if tag == "B":
        return tagged(content)
    if tag == "BS":
        return tagged(set(content))
    return {tag: sorted(content)} if tag.endswith("S") and tag != "S" else value


@pytest.mark.parametrize(("value", "tag"), TAKEN)
def test_dynamodb_local_keeps_the_same(kept: Callable[[object], Any], value: object, tag: Any) -> None:
    assert kept(value) == tag


@pytest.mark.parametrize(("value", "_told"), REFUSED)
def test_dynamodb_local_refuses_the_same(kept: Callable[[object], Any], value: object, _told: str) -> None:
    with pytest.raises((ClientError, ParamValidationError, TypeError, ArithmeticError)):
        kept(value)
