"""The embedded AWS is a witness of what is published, sent and set aside; it takes nothing from the queues."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.exceptions import ClientError

from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.faults import FUNCTION_TOKEN, Fault
from tablestream.local.cloud.server import Server
from tablestream.local.cloud.witness import Sent, SetAside, Witness

LETTER = {
    "record": {"dynamodb": {"Keys": {"id": {"S": "é"}}}},
    "reason": "status: wanted a value",
    "handler": "leads.created",
    "error_class": "MissingAttribute",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


def client(server: Server, service: str, token: str | None = FUNCTION_TOKEN) -> Any:
    """A client of a function, or of another program if it has no token."""
    return boto3.client(  # type: ignore[call-overload]  # of any service
        service,
        region_name=REGION,
        endpoint_url=server.endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        aws_session_token=token,
    )


def asked(service: str, body: bytes) -> dict[str, Any]:
    """A signed request, as WSGI gives it."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=local/20261126/eu-west-1/{service}/aws4_request",
    }


def test_messages_of_functions_are_seen_and_stay_for_the_queues_consumers(server: Server) -> None:
    read = server.witness.reader()
    sqs = client(server, "sqs")
    url = sqs.create_queue(QueueName="work")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="one")
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"of a batch {n}"} for n in range(2)])
    client(server, "sqs", token=None).send_message(QueueUrl=url, MessageBody="of another program")
    assert read() == [Sent("work", text) for text in ("one", "of a batch 0", "of a batch 1")]
    assert read() == []

    count = "ApproximateNumberOfMessages"
    waiting = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[count])["Attributes"][count]
    assert waiting == "4"


def test_messages_of_topics_are_seen_whoever_published_them(server: Server) -> None:
    read = server.witness.reader()
    sns = client(server, "sns", token=None)
    arn = sns.create_topic(Name="news")["TopicArn"]
    fifo = sns.create_topic(Name="news.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sns.publish(TopicArn=arn, Message="one & two")
    sns.publish(TopicArn=fifo, Message="in order", MessageGroupId="g", MessageDeduplicationId="d")
    entries = [{"Id": str(n), "Message": f'{{"number": {n}}}'} for n in range(2)]
    client(server, "sns").publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
    batch = [Sent("news", entry["Message"]) for entry in entries]
    assert read() == [Sent("news", "one & two"), Sent("news.fifo", "in order"), *batch]


def test_of_a_batch_the_messages_that_the_topic_refused_are_left_out() -> None:
    form = {"Action": "PublishBatch", "TopicArn": "arn:aws:sns:eu-west-1:1:news"}
    for number, name in enumerate("abc", 1):
        entry = f"PublishBatchRequestEntries.member.{number}."
        form |= {f"{entry}Id": name, f"{entry}Message": f"message {name}"}
    body = urlencode(form).encode()

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        failed = b"<Failed><member><Id>b</Id><Code>InvalidParameter</Code></member></Failed>"
        return [b"<R><Successful><member><Id>a</Id></member></Successful>", failed, b"</R>"]

    witness = Witness(app)
    read = witness.reader()
    list(witness(asked("sns", body), lambda *_: None))
    assert read() == [Sent("news", "message a"), Sent("news", "message c")]


def test_what_a_function_stores_in_chunks_arrives_whole(server: Server) -> None:
    s3 = client(server, "s3")
    s3.create_bucket(Bucket="chunks")
    scope = "AWS4-HMAC-SHA256 Credential=local/20261126/us-east-1/s3/aws4_request"
    headers = {"Authorization": scope, "X-Amz-Security-Token": FUNCTION_TOKEN, "Transfer-Encoding": "chunked"}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request("PUT", "/chunks/key", iter([b"one ", b"two"]), headers, encode_chunked=True)
        assert connection.getresponse().status == 200
    assert s3.get_object(Bucket="chunks", Key="key")["Body"].read() == b"one two"


def test_of_a_batch_the_messages_that_the_queue_refused_are_left_out() -> None:
    request = {"QueueUrl": "http://q/1/work", "Entries": [{"Id": id_, "MessageBody": id_} for id_ in "abc"]}
    body = json.dumps(request).encode()

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b'{"Successful": [{"Id": "a"}, {"Id": "c"}], ', b'"Failed": [{"Id": "b"}]}']

    witness = Witness(app)
    read = witness.reader()
    environ = asked("sqs", body) | {
        "HTTP_X_AMZ_SECURITY_TOKEN": FUNCTION_TOKEN,
        "HTTP_X_AMZ_TARGET": "AmazonSQS.SendMessageBatch",
    }
    assert json.loads(b"".join(witness(environ, lambda *_: None)))["Failed"] == [{"Id": "b"}]
    assert read() == [Sent("work", "a"), Sent("work", "c")]


def test_a_message_that_a_fault_kept_back_is_not_seen(server: Server) -> None:
    read = server.witness.reader()
    sqs = client(server, "sqs")
    url = sqs.create_queue(QueueName="faulty")["QueueUrl"]
    with server.faults.during(Fault("SendMessage", "AccessDenied", service="sqs")), pytest.raises(ClientError):
        sqs.send_message(QueueUrl=url, MessageBody="one")
    with pytest.raises(ClientError):
        sqs.send_message(QueueUrl=f"{url}-that-is-not-there", MessageBody="one")
    assert read() == []


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({}, ('{"id": {"S": "é"}}', "leads.created")),
        ({"handler": None, "record": {"dynamodb": {}}}, ("", None)),
        ({"handler": None, "record": "text"}, ("", None)),
    ],
)
def test_a_dead_letter_is_seen_with_its_key_its_handler_and_its_reason(
    server: Server, change: dict[str, Any], seen: tuple[str, str | None]
) -> None:
    read = server.witness.reader()
    s3 = client(server, "s3")
    s3.create_bucket(Bucket="failures")
    s3.put_object(Bucket="failures", Key="set-aside/1.json", Body=json.dumps(LETTER | change).encode())
    for other in (b"\xff", b"[]", b'{"reason": "none"}'):
        s3.put_object(Bucket="failures", Key="other", Body=other)
    assert read() == [SetAside("failures/set-aside/1.json", *seen, "status: wanted a value")]


def test_each_reader_gets_every_sight_once_that_came_since_it_was_made(server: Server) -> None:
    sns = client(server, "sns", token=None)
    arn = sns.create_topic(Name="twice")["TopicArn"]
    first = server.witness.reader()
    sns.publish(TopicArn=arn, Message="one")
    second = server.witness.reader()
    sns.publish(TopicArn=arn, Message="two")
    assert [one.text for one in first() if isinstance(one, Sent)] == ["one", "two"]
    assert [one.text for one in second() if isinstance(one, Sent)] == ["two"]
    assert first() == second() == []


def test_a_sight_names_the_invocation_that_it_is_of() -> None:
    witness = Witness(lambda _environ, start: [start("200 OK", []) or b""])
    read = witness.reader()
    body = urlencode({"Action": "Publish", "TopicArn": "arn:aws:sns:eu-west-1:1:news", "Message": "m"}).encode()
    traced = {"HTTP_X_AMZN_TRACE_ID": "Root=11111111-2222;Parent=3"}
    of_function = asked("sns", body) | {"HTTP_X_AMZ_SECURITY_TOKEN": FUNCTION_TOKEN} | traced
    for environ in (of_function, asked("sns", body) | traced):
        list(witness(environ, lambda *_: None))
    assert [one.request_id for one in read()] == ["11111111-2222", ""]
