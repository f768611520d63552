"""What subscribers of the topic get: a queue of its own, so that nobody's messages are taken away."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from tablestream.local.clients import Clients

LARGEST_RECEIVE = 10  # SQS returns no more at once


@dataclass(slots=True)
class Inbox:
    """A queue subscribed to a topic while it is open. Messages come in the order they were published."""

    clients: Clients
    topic_arn: str
    _url: str = ""
    _subscription: str = ""

    def __enter__(self) -> Self:
        """Create the queue and subscribe it."""
        sqs = self.clients.get("sqs")
        self._url = sqs.create_queue(QueueName=f"inbox-{uuid.uuid4().hex}")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        subscribed = self.clients.get("sns").subscribe(
            TopicArn=self.topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"], ReturnSubscriptionArn=True
        )
        self._subscription = subscribed["SubscriptionArn"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unsubscribe and delete the queue."""
        self.clients.get("sns").unsubscribe(SubscriptionArn=self._subscription)
        self.clients.get("sqs").delete_queue(QueueUrl=self._url)

    def take(self) -> list[dict[str, Any]]:
        """The messages' bodies since the last call."""
        sqs = self.clients.get("sqs")
        taken: list[dict[str, Any]] = []
        while True:
            received = sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=LARGEST_RECEIVE)
            messages = received.get("Messages", [])
            if not messages:
                return taken
            taken += [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
            handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=self._url, Entries=handles)
