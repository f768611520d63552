"""`Topic`: messages published to a standard SNS topic, ten in a call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from tablestream.aws import Aws, variable_of
from tablestream.dynamodb.client import payload_of, set_aside
from tablestream.run import Run
from tablestream.sink import Answer, Effect
from tablestream.sinks.messages import MAX_MESSAGE_BYTES, Answers, Batch, Entry, Message, Service, read_by_id, send_all

if TYPE_CHECKING:
    from botocore.config import Config as ClientConfig
    from botocore.session import Session
    from mypy_boto3_sns import SNSClient

TOPIC_ARN = re.compile(r"arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")
_WANTED = "the ARN of a standard SNS topic"


class Topic:
    """Publishes `Message` effects to a standard topic.

    At least once: a call whose outcome is unknown is repeated, and SNS itself delivers a message more than once now and
    then. Needs `sns:Publish` on the topic.
    """

    idempotent = False

    def __init__(
        self,
        name: str,
        client: SNSClient | None = None,
        *,
        variable: str | None = None,
        sink_name: str | None = None,
        takes: type[Message] = Message,
    ) -> None:
        """Take the topic's ARN, or a name: `Topic("sales")` is the topic in the variable `SALES_TOPIC_ARN`.

        `variable` is another name of that variable. Two sinks of one worker need different effects: `takes` is a class
        of your own that is made of `Message`. Without a client the worker's `handler()` connects it. `sink_name` is the
        name of the sink in the journal, by default that which was given, or the last part of the ARN.
        """
        self._given = name
        self._client = client
        self._variable = variable or variable_of(name, "TOPIC_ARN")
        self._takes = takes
        self.takes = (takes,)
        self.name = sink_name or name.rpartition(":")[2]

    def connect(self, aws: Aws) -> Topic:
        """Return the sink with its topic and client."""
        arn = self._given
        if not arn.startswith("arn:"):
            arn = aws.named(self._variable, TOPIC_ARN, _WANTED)
        client = self._client or aws.client("sns", sns_client)
        return Topic(arn, client, sink_name=self.name, takes=self._takes)

    def apply(self, effects: Sequence[Effect[Message]], run: Run) -> Sequence[Answer]:
        """Publish; answer for each message."""
        entries = [Entry(_content(effect.value), effect.value.size) for effect in effects]
        return send_all(Service("SNS", MAX_MESSAGE_BYTES, self._publish), entries, run)

    def _publish(self, batch: Batch) -> Answers:
        if self._client is None:
            raise RuntimeError(f"the topic {self._given} is not connected: worker.handler() does that")
        entries: list[Any] = [{"Id": str(place), **entry.content} for place, entry in batch.items()]
        response = self._client.publish_batch(TopicArn=self._given, PublishBatchRequestEntries=entries)
        return read_by_id("SNS", batch, response.get("Successful", ()), response.get("Failed", ()))


def _content(message: Message) -> Mapping[str, Any]:
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
    return {"Message": message.text, "MessageAttributes": attributes}


def sns_client(general: Session, config: ClientConfig) -> SNSClient:
    """Return a client of SNS that sends what it publishes in the form that is written here."""
    made: Any = general.create_client("sns", config=config)
    return write_form(made)


# --- the form of PublishBatch ----------------------------------------------------------------------------------------
#
# Written here: botocore's serializer quotes all of it, twice, and takes most of the CPU of a large call.

_MEANS_ITSELF = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_MEANS_ITSELF_OR_QUOTED = re.compile(r"[A-Za-z0-9_.~+%-]*").fullmatch
_PUNCTUATION = [(character, quote_plus(character)) for character in '%+" :,{}[]/']
"""What JSON is made of besides letters; the two that quoting itself makes come first."""


def write_form(client: SNSClient) -> SNSClient:
    """Let a client send the form of PublishBatch as it is written here; return the client."""
    events: Any = client.meta.events
    events.register("provide-client-params.sns.PublishBatch", set_aside)
    events.register("before-call.sns.PublishBatch", _send_form)
    return client


def _send_form(params: dict[str, Any], context: Mapping[str, Any], **_: object) -> None:
    payload = payload_of(context)
    head = {"Action": "PublishBatch", "Version": "2010-03-31", "TopicArn": payload["TopicArn"]}
    entries = [_entry(number, entry) for number, entry in enumerate(payload["PublishBatchRequestEntries"], 1)]
    params["body"] = "&".join([urlencode(head), *entries]).encode()


def _entry(number: int, entry: Mapping[str, Any]) -> str:
    """Write an entry (AWS query protocol); only what varies has to be quoted, botocore quotes all of it, twice."""
    place = f"PublishBatchRequestEntries.member.{number}."
    parts = [f"{place}Id={quoted(entry['Id'])}&{place}Message={quoted(entry['Message'])}"]
    for position, (name, value) in enumerate(entry["MessageAttributes"].items(), 1):
        at = f"{place}MessageAttributes.entry.{position}."
        kind, text = value["DataType"], quoted(value["StringValue"])
        parts.append(f"{at}Name={quoted(name)}&{at}Value.DataType={kind}&{at}Value.StringValue={text}")
    return "&".join(parts)


def quoted(text: str) -> str:
    """Return what `quote_plus` does, for JSON in a third of the time: it looks at each byte in Python."""
    if _MEANS_ITSELF(text):
        return text
    done = text
    for character, code in _PUNCTUATION:
        done = done.replace(character, code)
    return done if _MEANS_ITSELF_OR_QUOTED(done) else quote_plus(text)
