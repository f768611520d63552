"""The whole worker of the leads, in an AWS in memory: messages, dead letters, and no message twice."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tablestream.testing import FakeContext, event, inserted, modified

LEAD = {"id": "1", "name": "Ann", "owner": "bob"}
REGION = "us-east-1"


@dataclass
class Aws:
    """The worker's surroundings."""

    handler: Any
    queue_url: str

    def messages(self) -> list[str]:
        """Return what was published since the last time."""
        queue = boto3.client("sqs", REGION)
        received = queue.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            queue.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"])["Message"] for message in received]

    def dead_letters(self) -> list[Any]:
        bucket = boto3.resource("s3").Bucket("failures")
        return [json.loads(found.get()["Body"].read()) for found in bucket.objects.all()]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with mock_aws():
        topic = boto3.client("sns", REGION).create_topic(Name="sales")["TopicArn"]
        queue = boto3.client("sqs", REGION)
        url = queue.create_queue(QueueName="sales")["QueueUrl"]
        boto3.client("sns", REGION).subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:sales"
        )
        boto3.client("s3", REGION).create_bucket(Bucket="failures")
        boto3.client("dynamodb", REGION).create_table(
            TableName="journal",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        settings = {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": "leads",
            "SALES_TOPIC_ARN": topic,
            "JOURNAL_TABLE": "journal",
            "FAILURES_BUCKET": "failures",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        app = importlib.import_module("examples.leads.app")
        yield Aws(app.handler, url)


def test_what_is_good_is_told_and_what_is_bad_is_set_aside(aws: Aws) -> None:
    nameless = {"id": "2", "owner": "bob"}
    batch = event(
        inserted(LEAD, keys=("id",), table="leads"),
        inserted(nameless, keys=("id",), table="leads"),
        modified(LEAD, {**LEAD, "owner": "eve"}, keys=("id",), table="leads"),
    )
    assert aws.handler(batch, FakeContext()) == {"batchItemFailures": []}
    assert aws.messages() == ["New: Ann", "Ann goes from bob to eve"]
    assert [letter["reason"] for letter in aws.dead_letters()] == ["name: wanted a value, got none"]
