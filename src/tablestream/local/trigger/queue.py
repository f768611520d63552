"""Queues and topics that invoke functions: messages are received, handed over, and removed when they are done.

A queue's function gets a batch (Lambda developer guide, "Using Lambda with Amazon SQS"). What it does not do comes
again when the queue's visibility timeout is over, and goes to the queue's dead-letter queue as its redrive policy says.
A topic's function gets one message, twice more a minute and two minutes after it failed ("Asynchronous invocation").
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tablestream.local.delivery.filters import FilterSet
from tablestream.local.delivery.protocol import Answered

if TYPE_CHECKING:
    from tablestream.local.runtime.function import Invocation

Json = Any  # what a message or an event holds
POLL_SECONDS = 0.25
MOST_RECEIVED = 10  # SQS returns no more at once
TOPIC_ATTEMPTS = 3
_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class QueueMapping:
    """A queue whose messages invoke a function; `function` is a logical id, `qualifier` one of its aliases or versions.

    For a topic that invokes a function it is a queue of our own, and `subscription` is the ARN of its subscription.
    """

    logical_id: str
    function: str
    queue_arn: str
    qualifier: str | None = None
    batch_size: int = MOST_RECEIVED
    report_failures: bool = False
    filters: FilterSet = field(default_factory=lambda: FilterSet(()))
    subscription: str | None = None
    topic: str = ""

    @property
    def told(self) -> str:
        """Say in a sentence which messages go to which function."""
        source = f"topic {self.topic}" if self.subscription else f"queue {self.queue_arn.rpartition(':')[2]}"
        return f"{self.logical_id} hands the messages of the {source} to {self.function}"


class QueueTrigger:
    """Hands the messages of one queue to one function, from a thread of its own.

    `sqs` is a boto3 client, `ended` gets each invocation.
    """

    def __init__(
        self,
        mapping: QueueMapping,
        sqs: Any,
        invoke: Callable[[Json], Invocation],
        ended: Callable[[Invocation], None] = lambda _invocation: None,
    ) -> None:
        self._mapping = mapping
        self._sqs = sqs
        self._invoke = invoke
        self._ended = ended
        self._url = sqs.get_queue_url(QueueName=mapping.queue_arn.rpartition(":")[2])["QueueUrl"]
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{mapping.logical_id}-queue", daemon=True)

    def start(self) -> None:
        """Begin receiving."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is under way; end it by closing the function's runtime."""
        self._stopping.set()

    def join(self) -> None:
        """Wait until it has ended."""
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def settle(self, timeout: float) -> bool:
        """Wait until there is no message that could be received; False after `timeout` seconds."""
        self._idle.clear()
        return self._idle.wait(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._step():
                self._idle.set()
                self._stopping.wait(POLL_SECONDS)

    def _step(self) -> bool:
        """Receive messages and hand them over; return whether there were any."""
        received = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=1 if self._mapping.subscription else min(self._mapping.batch_size, MOST_RECEIVED),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: Sequence[dict[str, Json]] = received.get("Messages", [])
        wanted = [one for one in messages if self._mapping.filters.matches(_read(one))]
        self._delete(one for one in messages if one not in wanted)
        if wanted:
            self._hand_over(wanted)
        return bool(messages)

    def _hand_over(self, messages: Sequence[dict[str, Json]]) -> None:
        mapping = self._mapping
        event = _of_topic(messages[0], mapping) if mapping.subscription else _of_queue(messages, mapping)
        invocation = self._invoke(event)
        if self._stopping.is_set():
            return
        self._ended(invocation)
        if mapping.subscription:
            self._done_with(messages[0], invocation)
        else:
            failed = _failed(messages, invocation, report=mapping.report_failures)
            self._delete(one for one in messages if one["MessageId"] not in failed)

    def _done_with(self, message: dict[str, Json], invocation: Invocation) -> None:
        attempts = int(message["Attributes"]["ApproximateReceiveCount"])
        if isinstance(invocation.outcome, Answered) or attempts >= TOPIC_ATTEMPTS:
            self._delete([message])
        else:
            handle, wait = message["ReceiptHandle"], attempts * _WAIT_SECONDS
            self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=handle, VisibilityTimeout=wait)

    def _delete(self, messages: Iterable[dict[str, Json]]) -> None:
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])


def _failed(messages: Sequence[dict[str, Json]], invocation: Invocation, *, report: bool) -> set[str]:
    """Return the ids of the messages that come again: all of them after an error, or an answer that names none."""
    ids = {one["MessageId"] for one in messages}
    if not isinstance(invocation.outcome, Answered):
        return ids
    told = invocation.payload.get("batchItemFailures") if report and isinstance(invocation.payload, dict) else None
    if not told:
        return set()
    named = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in told]
    return min(set(named), ids)


def _read(message: Mapping[str, Json]) -> dict[str, Json]:
    """Return a message as filters see it: with the body as what it says in JSON."""
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = message["Body"]
    return {"body": body, "attributes": message.get("Attributes", {})}


def _of_queue(messages: Sequence[dict[str, Json]], mapping: QueueMapping) -> dict[str, Json]:
    return {"Records": [_of_message(one, mapping.queue_arn) for one in messages]}


def _of_message(message: Mapping[str, Json], arn: str) -> dict[str, Json]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {
                "stringValue": one.get("StringValue"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": one["DataType"],
            }
            for name, one in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }


def _of_topic(message: Mapping[str, Json], mapping: QueueMapping) -> dict[str, Json]:
    """Return the event of a topic's message, of which the queue has the notification."""
    told = json.loads(message["Body"])
    attributes = told.get("MessageAttributes", {})
    names = ("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature")
    sns = {name: told.get(name) for name in names}
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": mapping.subscription,
        "Sns": {**sns, "SigningCertUrl": told.get("SigningCertURL"), "MessageAttributes": attributes},
    }
    return {"Records": [record]}
