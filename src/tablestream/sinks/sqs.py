"""`Queue`: messages sent to an SQS queue, ten in a call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.session import Session

from tablestream.aws import Aws, variable_of
from tablestream.run import Run
from tablestream.sink import Answer, Effect
from tablestream.sinks.messages import MAX_MESSAGE_BYTES, Answers, Batch, Entry, Message, Service, read_by_id, send_all

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUE_URL = re.compile(r"https?://[^\s/]+/.*[A-Za-z0-9_-]{1,80}(\.fifo)?")
_WANTED = "the URL of an SQS queue"
_FIFO = ".fifo"


class Queue:
    """Sends `Message` effects to a queue.

    A standard queue gets them at least once. A FIFO queue gets the changes of one item in order (the message group is
    the item) and, within its five minutes, none twice (the deduplication id is the effect's). Needs `sqs:SendMessage`.
    """

    idempotent = False

    def __init__(
        self,
        name: str,
        client: SQSClient | None = None,
        *,
        sink_name: str | None = None,
        takes: type[Message] = Message,
    ) -> None:
        """Take the queue's URL, or a name: `Queue("sales")` is the queue in the variable `SALES_QUEUE_URL`.

        Two sinks of one worker need different effects: `takes` is a class of your own that is made of `Message`.

        Without a client the worker's `handler()` connects it. `sink_name` is the name of the sink in the journal, by
        default that which was given, or the last part of the URL.
        """
        self._given = name
        self._client = client
        self._takes = takes
        self.takes = (takes,)
        self.name = sink_name or name.rpartition("/")[2].removesuffix(_FIFO)

    def connect(self, aws: Aws) -> Queue:
        """Return the sink with its queue and client."""
        url = self._given
        if "://" not in url:
            url = aws.named(variable_of(self._given, "QUEUE_URL"), QUEUE_URL, _WANTED)
        client = self._client or aws.client("sqs", lambda _, config: Session().create_client("sqs", config=config))
        return Queue(url, client, sink_name=self.name, takes=self._takes)

    def apply(self, effects: Sequence[Effect[Message]], run: Run) -> Sequence[Answer]:
        """Send; answer for each message."""
        entries = [Entry(self._content(effect), effect.value.size) for effect in effects]
        return send_all(Service("SQS", MAX_MESSAGE_BYTES, self._send), entries, run)

    def _content(self, effect: Effect[Message]) -> Mapping[str, Any]:
        message = effect.value
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
        content = {"MessageBody": message.text, "MessageAttributes": attributes}
        if self._given.endswith(_FIFO):
            content["MessageGroupId"] = effect.item
            content["MessageDeduplicationId"] = hashlib.sha256(effect.id.encode()).hexdigest()
        return content

    def _send(self, batch: Batch) -> Answers:
        if self._client is None:
            raise RuntimeError(f"the queue {self._given} is not connected: worker.handler() does that")
        entries: list[Any] = [{"Id": str(place), **entry.content} for place, entry in batch.items()]
        response = self._client.send_message_batch(QueueUrl=self._given, Entries=entries)
        return read_by_id("SQS", batch, response.get("Successful", ()), response.get("Failed", ()))
