"""Items that are written by hand: plain JSON, or DynamoDB's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tablestream.local.cli.items import item_of, plain_text, put
from tablestream.local.errors import UsageError
from tablestream.testing import client_error

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ('{"id": "1"}', {"id": {"S": "1"}}),
        ('{"id": 1, "l": 1.50, "x": 1e3}', {"id": {"N": "1"}, "l": {"N": "1.50"}, "x": {"N": "1E+3"}}),
        ('{"a": ["b", null, true]}', {"a": {"L": [{"S": "b"}, {"NULL": True}, {"BOOL": True}]}}),
        ('{"a": {"b": {"S": "c"}}}', {"a": {"M": {"b": {"M": {"S": {"S": "c"}}}}}}),
        ('{"id": {"S": "1"}, "n": {"N": 2}}', {"id": {"S": "1"}, "n": {"N": "2"}}),
        ('{"id": {"B": "AP8="}, "s": {"NS": [1, "2"]}}', {"id": {"B": b"\x00\xff"}, "s": {"NS": ["1", "2"]}}),
        ('{"m": {"M": {"b": {"BS": ["AA=="]}}}}', {"m": {"M": {"b": {"BS": [b"\x00"]}}}}),
        ("{}", {}),
    ],
)
def test_an_item_is_read_from_either_kind_of_json(text: str, item: dict[str, Any]) -> None:
    assert item_of(text) == item


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tea", 'got tea: wanted an item as JSON, such as {"id": "1"} (Expecting value'),
        ("[1]", 'got [1]: wanted an object, such as {"id": "1"}'),
        ('{"n": 1e400}', 'got {"n": 1e400}: a number has more than 38 digits, or is out of range'),
        ("[" * 100_000, f"got {'[' * 100}…: wanted an item as JSON"),
        ('{"n": NaN}', 'got {"n": NaN}: Infinity and NaN not supported'),
        ('{"id": {"B": "é"}}', "the binary value é is no base64"),
        (f'{{"a": {"1" * 50}}}', 'got {"a": 1'),
        ("x" * 200, f"got {'x' * 100}…: wanted"),
    ],
)
def test_what_is_no_item_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        item_of(text)
    assert str(told.value).startswith(words)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ({"id": {"S": "example"}}, '{"id": "example"}'),
        ({"id": {"N": "1001"}, "x": {"N": "-1.5"}}, '{"id": 1001, "x": -1.5}'),
        ({"id": {"B": "AA=="}, "sk": {"S": "a"}}, '{"id": {"B": "AA=="}, "sk": {"S": "a"}}'),
    ],
)
def test_a_key_is_told_so_that_it_can_be_read_again(key: dict[str, Any], text: str) -> None:
    assert plain_text(key) == text
    again = item_of(text)
    assert [set(value) for value in again.values()] == [set(value) for value in key.values()]


class Dynamo:
    """A client that keeps what is put, or refuses it."""

    def __init__(self, refusal: ClientError | None = None) -> None:
        self.refusal = refusal
        self.kept: list[Any] = []

    def put_item(self, **request: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.kept.append(request)

    def list_tables(self) -> dict[str, list[str]]:
        return {"TableNames": ["Leads", "Users"]}


def test_an_item_is_put_and_that_is_said() -> None:
    client = Dynamo()
    assert put(client, "Leads", '{"id": "1"}\n') == 'put an item into Leads: {"id": "1"}'
    assert client.kept == [{"TableName": "Leads", "Item": {"id": {"S": "1"}}}]


def test_a_table_that_is_not_there_is_told_with_those_that_are() -> None:
    missing = client_error("ResourceNotFoundException", "PutItem")
    with pytest.raises(UsageError, match="Lead takes no such item: there is no such table, but Leads, Users"):
        put(Dynamo(missing), "Lead", "{}")


def test_the_words_of_dynamodb_are_told() -> None:
    refused = client_error("ValidationException", "PutItem", message="Missing the key id in the item")
    with pytest.raises(UsageError, match="Leads takes no such item: Missing the key id in the item"):
        put(Dynamo(refused), "Leads", "{}")
