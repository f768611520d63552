"""SNS, SQS and EventBridge as their sinks call them, in memory: one fake, three faces."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tablestream import Sink
from tablestream.sinks import Event, EventBus, Message, Queue, Topic
from tablestream.sinks.messages import MAX_MESSAGE_BYTES
from tablestream.testing import client_error


@dataclass
class FakeService:
    """Takes entries; `faults` are raised one a call, `refused` are codes by text, `invalid` fails the whole call."""

    calls: list[list[str]] = field(default_factory=list)
    """The texts of each call that was taken, in order."""
    entries: list[Mapping[str, Any]] = field(default_factory=list)
    faults: list[Exception | None] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    refused_once: dict[str, str] = field(default_factory=dict)
    sender_faults: set[str] = field(default_factory=lambda: {"InvalidParameter"})
    """Codes that SNS and SQS hold against the sender."""
    silent_about: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)

    def take(self, entries: list[Any], text_of: Callable[[Any], str]) -> list[tuple[Any, str | None]]:
        """Return each entry that the answer speaks of, with its error code if it was refused."""
        assert 1 <= len(entries) <= 10
        assert sum(map(_size, entries)) <= MAX_MESSAGE_BYTES
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        texts = [text_of(entry) for entry in entries]
        if self.invalid & {*texts}:
            raise client_error("InvalidParameterValue")
        self.calls.append(texts)
        self.entries += entries
        codes = [self.refused.get(text) or self.refused_once.pop(text, None) for text in texts]
        return [
            (entry, code)
            for entry, code, text in zip(entries, codes, texts, strict=True)
            if text not in self.silent_about
        ]

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> Any:
        assert TopicArn == TOPIC
        told = self.take(PublishBatchRequestEntries, lambda entry: json.loads(entry["Message"])["text"])
        return self._by_id(told)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:
        assert QueueUrl.startswith("https://")
        return self._by_id(self.take(Entries, lambda entry: json.loads(entry["MessageBody"])["text"]))

    def put_events(self, *, Entries: list[Any]) -> Any:
        told = self.take(Entries, lambda entry: json.loads(entry["Detail"])["text"])
        return {"Entries": [{"EventId": "e"} if code is None else {"ErrorCode": code} for _, code in told]}

    def _by_id(self, told: list[tuple[Any, str | None]]) -> Any:
        return {
            "Successful": [{"Id": entry["Id"], "MessageId": "m"} for entry, code in told if code is None],
            "Failed": [
                {"Id": entry["Id"], "Code": code, "SenderFault": code in self.sender_faults}
                for entry, code in told
                if code is not None
            ],
        }


def _size(entry: Mapping[str, Any]) -> int:
    """Return the bytes that count for SNS and SQS; those of EventBridge's entry are more than that."""
    attributes = entry.get("MessageAttributes", {}).items()
    around = sum(len(name) + len(one["DataType"]) + len(one["StringValue"]) for name, one in attributes)
    return around + sum(len(entry.get(name, "").encode()) for name in ("Message", "MessageBody", "Detail"))


TOPIC = "arn:aws:sns:eu-central-1:123456789012:sales"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/sales"
BUS = "arn:aws:events:eu-central-1:123456789012:event-bus/sales"

SINKS: Mapping[str, Callable[[Any], Sink]] = {
    "sns": lambda client: Topic(TOPIC, client),
    "sqs": lambda client: Queue(QUEUE, client),
    "eventbridge": lambda client: EventBus(BUS, client),
}


def effect(service: str, text: str, **fields: Any) -> Message | Event:
    """Return an effect of a service's sink that says a text."""
    said = {"text": text, **fields}
    return Event("said", said) if service == "eventbridge" else Message(said, {"type": "said"})
