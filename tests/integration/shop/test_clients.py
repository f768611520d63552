"""The clients: the time that a hanging AWS may take fits into the margin before Lambda's timeout."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from botocore.awsrequest import AWSResponse
from botocore.handlers import BUILTIN_HANDLERS
from botocore.session import Session

from shop.worker import make_worker
from tablestream.aws import Aws
from tablestream.dynamodb.client import session
from tablestream.sinks.sns import sns_client

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
ENVIRONMENT = {
    "TABLE_NAME": "orders",
    "INVENTORY_TABLE": "inventory",
    "JOURNAL_TABLE": "journal",
    "TOPIC_ARN": TOPIC,
    "FAILURES_BUCKET": "failures",
}


def longest(client: Any) -> float:
    """Return the seconds after which a call without any answer ends."""
    config = client.meta.config
    assert config.retries["total_max_attempts"] == 1
    seconds: float = config.connect_timeout + config.read_timeout
    return seconds


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.parametrize(("margin", "for_the_answer"), [(2.0, 0.2), (5.0, 0.5), (60.0, 6.0)])
def test_a_sink_and_then_the_journal_can_hang_and_the_answer_is_still_in_time(
    margin: float, for_the_answer: float
) -> None:
    aws = Aws({**ENVIRONMENT, "DEADLINE_MARGIN_SECONDS": str(margin), "CONCURRENCY": "4"})
    make_worker(aws).handler(aws)
    sinks: tuple[Any, ...] = (aws.dynamodb, aws.client("sns", sns_client), aws.s3)
    for sink in sinks:
        assert longest(sink) + longest(aws.dynamodb) == pytest.approx(margin - for_the_answer)
        assert sink.meta.config.max_pool_connections == 4


def test_botocore_has_no_handlers_of_the_services_whose_handlers_are_left_out() -> None:
    services = {event.split(".")[1] for event, *_ in BUILTIN_HANDLERS if "." in event and not event.startswith("docs.")}
    assert "s3" in services
    assert not services & {"*", "dynamodb", "sns"}


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("dynamodb", "transact_write_items", {"TransactItems": [{"Delete": {"TableName": "orders", "Key": {}}}]}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"orders": {"Keys": [{"pk": {"S": "1"}}]}}}),
        ("sns", "publish_batch", {"TopicArn": TOPIC, "PublishBatchRequestEntries": []}),
    ],
)
def test_a_request_is_the_one_that_a_session_with_all_handlers_sends(
    service: str, operation: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "worker")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")
    monkeypatch.setattr("uuid.uuid4", lambda: UUID(int=7))
    ours, whole = (sent(each.create_client(service), operation, parameters) for each in (session(), Session()))
    assert ours == whole
    assert "X-Amzn-Trace-Id" in ours[1]


class Body(BytesIO):
    """What urllib3 hands out of an answer."""

    def stream(self) -> Iterator[bytes]:
        """Yield everything at once."""
        yield self.read()


def sent(client: Any, operation: str, parameters: dict[str, Any]) -> tuple[str, dict[str, str], object]:
    """The URL, the headers and the body that would be sent, less what holds the time."""
    requests: list[Any] = []

    def answer(request: Any, **_: object) -> Any:
        requests.append(request)
        headers: Any = {}
        content = b"<a><PublishBatchResult/></a>" if operation == "publish_batch" else b"{}"
        return AWSResponse(request.url, 200, headers, Body(content))

    client.meta.events.register("before-send", answer)
    getattr(client, operation)(**parameters)
    (request,) = requests
    headers = {name: str(value) for name, value in request.headers.items()}
    headers["Authorization"] = headers["Authorization"].split("Signature=")[0]
    del headers["X-Amz-Date"]
    return request.url, headers, request.body
