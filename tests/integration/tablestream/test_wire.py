"""What goes over the wire is what botocore would have sent, signed and retried by botocore."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote_plus

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tablestream import Run
from tablestream.dynamodb import Table, Unavailable
from tablestream.dynamodb.client import DYNAMODB_OPERATIONS, TABLE_OPERATIONS, fit_for_tables, write_json
from tablestream.sinks.sns import quoted, write_form
from tablestream.testing import FakeClock

KEY = {"pk": {"S": "USER#é\u2028"}, "sk": {"S": "ORDER#1"}}
REQUESTS: dict[str, dict[str, Any]] = {
    "TransactWriteItems": {
        "TransactItems": [{"Put": {"TableName": "orders", "Item": {**KEY, "lines": {"M": {"tea": {"N": "1"}}}}}}],
        "ClientRequestToken": "token",
    },
    "BatchGetItem": {"RequestItems": {"orders": {"Keys": [KEY], "ConsistentRead": True}}},
    "BatchWriteItem": {"RequestItems": {"orders": [{"PutRequest": {"Item": {**KEY, "done": {"SS": ["a", "b"]}}}}]}},
}
ITEM = {**KEY, "b": {"B": b"\x00\xff"}, "bs": {"BS": [b"a", b"b"]}, "l": {"L": [{"B": b""}, {"M": {"n": {"N": "1"}}}]}}
EXPRESSIONS: dict[str, Any] = {
    "ExpressionAttributeNames": {"#n0": "b"},
    "ExpressionAttributeValues": {":v0": {"B": b"\xfe"}},
}
TABLE_REQUESTS: dict[str, dict[str, Any]] = {
    **REQUESTS,
    "GetItem": {"TableName": "orders", "Key": KEY, "ConsistentRead": True},
    "PutItem": {"TableName": "orders", "Item": ITEM, "ConditionExpression": "#n0 = :v0", **EXPRESSIONS},
    "UpdateItem": {
        "TableName": "orders",
        "Key": KEY,
        "UpdateExpression": "SET #n0 = :v0",
        "ReturnValues": "ALL_NEW",
        **EXPRESSIONS,
    },
    "DeleteItem": {"TableName": "orders", "Key": {"pk": {"B": b"\x01"}}, "ReturnValues": "ALL_OLD"},
    "BatchWriteItem": {"RequestItems": {"orders": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": KEY}}]}},
    "TransactGetItems": {"TransactItems": [{"Get": {"TableName": "orders", "Key": KEY}}]},
    "Query": {
        "TableName": "orders",
        "KeyConditionExpression": "#n0 = :v0",
        "ExclusiveStartKey": KEY,
        "Limit": 5,
        "ScanIndexForward": False,
        **EXPRESSIONS,
    },
    "Scan": {"TableName": "orders", "Limit": 5, "ReturnConsumedCapacity": "TOTAL"},
}
ENTRIES = [
    {
        "Id": str(number),
        "Message": f"é & = {number}\u2028%",
        "MessageAttributes": {
            "type": {"DataType": "String", "StringValue": "+ &"},
            "entity": {"DataType": "String", "StringValue": "Order"},
        },
    }
    for number in range(3)
]


class Wire:
    """Stands in for the network behind a client: keeps what is sent, answers with a status."""

    def __init__(
        self, service: str, *, status: int = 200, attempts: int = 1, checks: bool = False, answer: bytes = b"{}"
    ) -> None:
        self.sent: list[Any] = []
        self.answer = answer
        self.headers: dict[str, str] = {}
        self._status = status
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, parameter_validation=checks)
        session: Any = boto3.Session(region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret")
        self.client: Any = session.client(service, config=config)
        self.client.meta.events.register(f"before-send.{service}", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(request)
        is_json = "x-amz-json" in str(request.headers["Content-Type"])
        body = self.answer if is_json else b"<A><PublishBatchResult/></A>"
        headers: Any = HeadersDict(self.headers)
        return AWSResponse(request.url, self._status, headers, Raw(body))


class Raw:
    """The body of an answer."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]


def calls(wire: Wire, operation: str) -> Callable[..., Any]:
    names = {api: name for name, api in wire.client.meta.method_to_api_mapping.items()}
    method: Callable[..., Any] = getattr(wire.client, names[operation])
    return method


@pytest.mark.parametrize("operation", DYNAMODB_OPERATIONS)
def test_dynamodb_gets_what_botocore_would_have_sent(operation: str) -> None:
    plain, quick = Wire("dynamodb"), Wire("dynamodb")
    write_json(quick.client)
    for wire in (plain, quick):
        calls(wire, operation)(**REQUESTS[operation])
    (theirs,), (ours,) = plain.sent, quick.sent
    assert json.loads(ours.body) == json.loads(theirs.body) == REQUESTS[operation]
    assert (ours.url, ours.method) == (theirs.url, theirs.method)
    for header in ("X-Amz-Target", "Content-Type"):
        assert ours.headers[header] == theirs.headers[header]
    assert int(ours.headers["Content-Length"]) == len(ours.body)


OURS = {"x-amzn-RequestId": "1", "Content-Type": "application/x-amz-json-1.0"}


@pytest.mark.parametrize("operation", TABLE_OPERATIONS)
@pytest.mark.parametrize("checks", [False, True])
def test_whatever_a_table_sends_is_what_botocore_would_have_sent(operation: str, checks: bool) -> None:
    plain, quick = Wire("dynamodb", checks=checks), Wire("dynamodb", checks=checks)
    fit_for_tables(fit_for_tables(quick.client))
    quick.headers = OURS
    for wire in (plain, quick):
        calls(wire, operation)(**TABLE_REQUESTS[operation])
    (theirs,), (ours,) = plain.sent, quick.sent
    wanted, got = json.loads(theirs.body), json.loads(ours.body)
    if "ClientRequestToken" not in TABLE_REQUESTS[operation]:
        wanted.pop("ClientRequestToken", None)
    assert got == wanted
    assert (ours.url, ours.method) == (theirs.url, theirs.method)
    assert int(ours.headers["Content-Length"]) == len(ours.body)


ANSWERS = [
    b'{"Item":{"pk":{"S":"\\u2028"},"n":{"N":"1.5"},"l":{"L":[{"M":{}},{"NULL":true}]},"t":{"SS":["a"]}}}',
    b'{"Item":{"pk":{"S":"a"},"b":{"B":"AP8="}}}',
    b'{"Item":{"pk":{"S":"a"},"b":{"BS":["AP8="]}},"ConsumedCapacity":{"CapacityUnits":0.5,"TableName":"orders"}}',
    b'{"Item":{"B":{"S":"a"}}}',
    b"{}",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_whoever_else_uses_the_client_of_a_table_gets_what_botocore_gives(answer: bytes) -> None:
    plain, quick = Wire("dynamodb", answer=answer), Wire("dynamodb", answer=answer)
    Table("orders", quick.client)
    got = []
    for wire in (plain, quick):
        wire.headers = OURS
        got.append(wire.client.get_item(TableName="orders", Key=KEY))
        got[-1]["ResponseMetadata"].pop("HTTPHeaders")
    assert got[0] == got[1]


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (b"{}", {}),
        (b"<html>", {"Content-Type": "text/html", "x-amzn-RequestId": "1"}),
        (b"[]", OURS),
        (b'{"Item":', OURS),
        (b"{}", {**OURS, "x-amz-crc32": "1"}),
    ],
)
def test_a_table_takes_no_other_servers_answer_for_that_there_is_no_item(
    answer: bytes, headers: dict[str, str]
) -> None:
    wire = Wire("dynamodb", answer=answer)
    wire.headers = headers
    with pytest.raises(Unavailable):
        Table("orders", wire.client, run=Run(clock=FakeClock())).get({"pk": "a", "sk": "1"})
    assert len(wire.sent) == 3


def test_a_table_reads_binary_values_too() -> None:
    wire = Wire("dynamodb", answer=b'{"Item":{"pk":{"B":"AP8="},"l":{"L":[{"BS":["AQ=="]}]}}}')
    wire.headers = OURS
    table = Table("orders", wire.client, key="pk", types={"pk": bytes})
    assert table.get({"pk": b"\x00\xff"}) == {"pk": b"\x00\xff", "l": [{b"\x01"}]}


@pytest.mark.parametrize("answer", [b'{"Item":{"b":{"B":"AP8="', b'["B"]', b'{"Item":{"bs":{"BS":['])
def test_half_an_answer_with_binary_values_is_not_read_as_no_item(answer: bytes) -> None:
    wire = Wire("dynamodb", answer=answer)
    wire.headers = OURS
    with pytest.raises(Unavailable):
        Table("orders", wire.client).get({"pk": "a", "sk": "b"})


def test_the_signature_covers_what_is_sent() -> None:
    signed = set()
    for token in ("one", "two"):
        wire = Wire("dynamodb")
        write_json(wire.client)
        wire.client.transact_write_items(TransactItems=[], ClientRequestToken=token)
        signed.add(wire.sent[0].headers["Authorization"])
    assert len(signed) == 2


def test_a_retry_sends_the_same_again() -> None:
    wire = Wire("dynamodb", status=500, attempts=2)
    write_json(wire.client)
    with pytest.raises(ClientError):
        wire.client.transact_write_items(**REQUESTS["TransactWriteItems"])
    first, second = wire.sent
    assert first.body == second.body
    assert json.loads(first.body) == REQUESTS["TransactWriteItems"]


def test_other_operations_are_left_alone() -> None:
    wire = Wire("dynamodb")
    write_json(wire.client)
    wire.client.get_item(TableName="orders", Key=KEY)
    assert json.loads(wire.sent[0].body) == {"TableName": "orders", "Key": KEY}


def test_sns_gets_what_botocore_would_have_sent() -> None:
    plain, quick = Wire("sns"), Wire("sns")
    write_form(quick.client)
    for wire in (plain, quick):
        wire.client.publish_batch(TopicArn="arn:aws:sns:eu-west-1:1:t", PublishBatchRequestEntries=ENTRIES)
    (theirs,), (ours,) = plain.sent, quick.sent
    assert _form(ours.body) == _form(theirs.body)
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]
    assert "PublishBatchRequestEntries.member.1.Message" in _form(ours.body)


@given(st.text() | st.text(alphabet='{}[]":,%+/ -_.~aZ0&=\u00e9'))
def test_quoting_is_that_of_the_standard_library(text: str) -> None:
    assert quoted(text) == quote_plus(text)


def _form(body: str | bytes) -> dict[str, list[str]]:
    return parse_qs(body.decode() if isinstance(body, bytes) else body)
