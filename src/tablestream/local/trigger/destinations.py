"""Messages at the end of the way: on-failure records are sent, and a topic's messages are received.

An on-failure record becomes an S3 object, an SQS or an SNS message.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tablestream.local.delivery.mapping import Destination, DestinationKind
from tablestream.local.delivery.on_failure import OnFailureContext, object_key, on_failure_body

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tablestream.local.delivery.protocol import DiscardRecords

LARGEST_RECEIVE = 10  # SQS returns no more at once


class OnFailureDestination:
    """The on-failure destination of one event source mapping. `client` gives the boto3 client of a service."""

    def __init__(self, destination: Destination, mapping_uuid: str, client: Callable[[str], Any]) -> None:
        self._destination = destination
        self._mapping_uuid = mapping_uuid
        self._client = client

    def send(self, discard: DiscardRecords, context: OnFailureContext, now: float) -> str:
        """Send one on-failure record and say where it went. Raises botocore's exceptions."""
        kind, arn = self._destination.kind, self._destination.arn
        body = json.dumps(on_failure_body(kind, discard, context, now))
        name = arn.rsplit(":", 1)[1]
        if kind is DestinationKind.S3:
            key = object_key(self._mapping_uuid, discard.shard_id, now, str(uuid.uuid4()))
            self._client("s3").put_object(Bucket=name, Key=key, Body=body.encode(), ContentType="application/json")
            return f"s3://{name}/{key}"
        if kind is DestinationKind.SQS:
            sqs = self._client("sqs")
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body)
        else:
            self._client("sns").publish(TopicArn=arn, Message=body)
        return arn


@dataclass(slots=True)
class Inbox:
    """A queue subscribed to a topic while it is open. Messages come in the order they were published.

    `client` gives the boto3 client of a service.
    """

    client: Callable[[str], Any]
    topic_arn: str
    _url: str = ""
    _subscription: str = ""

    def __enter__(self) -> Self:
        """Create the queue and subscribe it."""
        sqs = self.client("sqs")
        self._url = sqs.create_queue(QueueName=f"inbox-{uuid.uuid4().hex}")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        subscribed = self.client("sns").subscribe(
            TopicArn=self.topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"], ReturnSubscriptionArn=True
        )
        self._subscription = subscribed["SubscriptionArn"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unsubscribe and delete the queue."""
        self.client("sns").unsubscribe(SubscriptionArn=self._subscription)
        self.client("sqs").delete_queue(QueueUrl=self._url)

    def take(self) -> list[dict[str, Any]]:
        """The messages' bodies since the last call, each a JSON object."""
        return [json.loads(text) for text in self.texts()]

    def texts(self) -> list[str]:
        """The messages' texts since the last call."""
        sqs = self.client("sqs")
        taken: list[str] = []
        while True:
            received = sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=LARGEST_RECEIVE)
            messages = received.get("Messages", [])
            if not messages:
                return taken
            taken += [json.loads(message["Body"])["Message"] for message in messages]
            handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=self._url, Entries=handles)
