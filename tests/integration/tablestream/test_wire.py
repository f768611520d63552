"""What goes over the wire is what botocore would have sent, signed and retried by botocore."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote_plus

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tablestream.dynamodb.client import DYNAMODB_OPERATIONS, write_json
from tablestream.sinks.sns import quoted, write_form

KEY = {"pk": {"S": "USER#é\u2028"}, "sk": {"S": "ORDER#1"}}
REQUESTS: dict[str, dict[str, Any]] = {
    "TransactWriteItems": {
        "TransactItems": [{"Put": {"TableName": "orders", "Item": {**KEY, "lines": {"M": {"tea": {"N": "1"}}}}}}],
        "ClientRequestToken": "token",
    },
    "BatchGetItem": {"RequestItems": {"orders": {"Keys": [KEY], "ConsistentRead": True}}},
    "BatchWriteItem": {"RequestItems": {"orders": [{"PutRequest": {"Item": {**KEY, "done": {"SS": ["a", "b"]}}}}]}},
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

    def __init__(self, service: str, *, status: int = 200, attempts: int = 1) -> None:
        self.sent: list[Any] = []
        self._status = status
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, parameter_validation=False)
        session: Any = boto3.Session(region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret")
        self.client: Any = session.client(service, config=config)
        self.client.meta.events.register(f"before-send.{service}", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(request)
        body = b"{}" if "x-amz-json" in str(request.headers["Content-Type"]) else b"<A><PublishBatchResult/></A>"
        headers: Any = {}
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
