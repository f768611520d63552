"""The shop's tables, topic and bucket in the embedded AWS of this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws

from shop.orders import OrderKey
from tablestream.local.trigger.moto_quirks import correct_moto
from tablestream.testing import image
from tests.support.dynamodb import create_table
from tests.support.variables import VARIABLES

if TYPE_CHECKING:
    import pytest
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

ORDERS, INVENTORY, JOURNAL, BUCKET = "orders", "inventory", "journal", "order-failures"
_plain = TypeDeserializer().deserialize


@dataclass(frozen=True)
class ShopAws:
    """Clients, and what tests put in and look at."""

    dynamodb: DynamoDBClient
    sns: SNSClient
    sqs: SQSClient
    s3: S3Client
    topic_arn: str
    queue_url: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the function that name all this."""
        return {
            **VARIABLES,
            "TABLE_NAME": ORDERS,
            "INVENTORY_TABLE": INVENTORY,
            "JOURNAL_TABLE": JOURNAL,
            "TOPIC_ARN": self.topic_arn,
            "FAILURES_BUCKET": BUCKET,
        }

    def stock(self, **units: int) -> None:
        for product, available in units.items():
            self.put(INVENTORY, {"pk": f"PRODUCT#{product}", "sk": "STOCK", "available": available})

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        self.dynamodb.put_item(TableName=table, Item=image(item))

    def available(self, product: str) -> int:
        return int(self.item(INVENTORY, OrderKey(f"PRODUCT#{product}", "STOCK"))["available"])

    def order(self, key: OrderKey) -> dict[str, Any]:
        return self.item(ORDERS, key)

    def ledger(self, key: OrderKey) -> dict[str, Any]:
        return self.item(INVENTORY, OrderKey(f"LEDGER#{key.pk}", key.sk))

    def item(self, table: str, key: OrderKey) -> dict[str, Any]:
        """Return an item as plain values, empty when there is none."""
        found = self.dynamodb.get_item(
            TableName=table, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}, ConsistentRead=True
        )
        return {name: _plain(value) for name, value in found.get("Item", {}).items()}

    def received(self) -> list[dict[str, Any]]:
        """Return what has come to the queue behind the topic since the last time."""
        messages: list[dict[str, Any]] = []
        while batch := self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            messages.extend(dict(message) for message in batch)
            for message in batch:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return messages


@contextmanager
def shop_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopAws]:
    """Create everything the worker needs, empty, and take it away again."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
    correct_moto()
    with mock_aws():
        dynamodb, sns, sqs, s3 = _clients()
        for table, keys in ((ORDERS, ("pk", "sk")), (INVENTORY, ("pk", "sk")), (JOURNAL, ("pk",))):
            create_table(dynamodb, table, keys)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        topic_arn = sns.create_topic(Name="order-events")["TopicArn"]
        queue_url = sqs.create_queue(QueueName="order-events")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
        yield ShopAws(dynamodb, sns, sqs, s3, topic_arn, queue_url)


@cache
def _clients() -> tuple[DynamoDBClient, SNSClient, SQSClient, S3Client]:
    """Make the clients once: it takes longer than most tests, and they reach whichever embedded AWS is up."""
    return boto3.client("dynamodb"), boto3.client("sns"), boto3.client("sqs"), boto3.client("s3")
