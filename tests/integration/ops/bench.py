"""A stack in the embedded AWS whose worker can be invoked, and something set aside in its bucket."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient

from demo.warehouse import Bucket, Letter, NewOrder, Shop, decode, encode
from tablestream.dead_letters import DeadLetter
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.server import lambda_server
from tablestream.local.delivery.on_failure import OnFailureContext, object_key, on_failure_object
from tablestream.local.delivery.protocol import Condition, DiscardRecords
from tablestream.local.runtime.runtime import Runtime
from tablestream.local.trigger.destinations import Inbox
from tablestream.run import Run
from tablestream.sinks import S3DeadLetters
from tablestream.testing import CREATED, Record, inserted, modified

if TYPE_CHECKING:
    import pytest

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
STOCK = 1000


@dataclass(frozen=True)
class Bench:
    cloud: Cloud
    shop: Shop
    inbox: Inbox
    lambda_endpoint: str
    logs: list[str]

    @property
    def bucket(self) -> str:
        return self.cloud.outputs["FailuresBucketName"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an operator exports to work on this stack."""
        return {**self.cloud.aws_environment(), "AWS_ENDPOINT_URL_LAMBDA": self.lambda_endpoint}

    def begin(self) -> None:
        """Empty the bucket, the tables and the inbox, and fill the shelves."""
        s3, dynamodb = self.cloud.client("s3"), self.cloud.client("dynamodb")
        for entry in s3.list_objects_v2(Bucket=self.bucket).get("Contents", ()):
            s3.delete_object(Bucket=self.bucket, Key=entry["Key"])
        for name in ("TableName", "InventoryTableName", "JournalTableName"):
            table = self.cloud.outputs[name]
            for item in dynamodb.scan(TableName=table)["Items"]:
                key = {part: item[part] for part in ("pk", "sk") if part in item}
                dynamodb.delete_item(TableName=table, Key=key)
        self.shop.stock({"tea": STOCK})
        self.inbox.take()
        self.logs.clear()

    def placed(self, order_id: str, number: int, quantity: Any = 1) -> Record:
        """Place an order, and return the record of it."""
        order = NewOrder(order_id, [("tea", quantity)])
        self.shop.place(order)
        return self._addressed(inserted(decode(order.item()), sequence_number=_sequence(number), at=CREATED))

    def cancelled(self, order_id: str, number: int) -> Record:
        """Cancel an order, and return the record of it."""
        old = NewOrder(order_id, [("tea", 1)])
        self.shop.set_status(old.key, "cancelled")
        new = replace(old, status="cancelled")
        record = modified(decode(old.item()), decode(new.item()), sequence_number=_sequence(number), at=CREATED)
        return self._addressed(record)

    def _addressed(self, record: Record) -> Record:
        return {**record, "eventSourceARN": self.cloud.outputs["TableStreamArn"]}

    def park(self, record: Record, error: str = "KeyError", reason: str = "'email'", at: float = CREATED + 60) -> str:
        """Set a record aside as the worker does, for an error that has been mended since."""
        sequence = record["dynamodb"]["SequenceNumber"]
        letter = DeadLetter(record, record["eventID"], sequence, reason, error, "shop.handlers.x", at, "0")
        store = S3DeadLetters(self.cloud.client("s3"), self.bucket)
        store.store([letter], Run())
        return store.key(letter)

    def give_up(self, records: Sequence[Record], at: float = CREATED + 60) -> str:
        """Set a batch aside as Lambda does."""
        discard = DiscardRecords(
            0, records, Condition.RETRY_ATTEMPTS_EXHAUSTED, 101, 1, None, "shardId-1", self.stream_arn
        )
        body = on_failure_object(discard, OnFailureContext("r-1", "arn:worker"), at)
        key = object_key("0f0e", "shardId-1", at, records[0]["eventID"])
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=json.dumps(body).encode())
        return key

    @property
    def stream_arn(self) -> str:
        return self.cloud.outputs["TableStreamArn"]

    def letters(self, prefix: str = "") -> list[Letter]:
        return Bucket(self.cloud.client("s3"), self.bucket, prefix).letters()

    def keys(self, prefix: str = "") -> list[str]:
        return [letter.key for letter in self.letters(prefix)]

    def left(self) -> list[str]:
        """Return what is still set aside."""
        return self.keys("dead-letters/") + self.keys("aws/lambda/")

    def announced(self) -> Counter[str]:
        """Return how often each event was announced since the last time."""
        return Counter(message["eventId"] for message in self.inbox.take())

    def held(self) -> int:
        """Return the units that the ledger holds."""
        return sum(int(entry["lines"]["tea"]) for entry in self.shop.ledger() if entry["state"] == "RESERVED")

    def status(self, order_id: str) -> str:
        order = self.shop.order(NewOrder(order_id, []).key)
        return str(order["status"]) if order else "gone"

    def confirmed(self) -> int:
        """Return how many orders are confirmed."""
        found = self.cloud.client("dynamodb").scan(TableName=self.cloud.outputs["TableName"])["Items"]
        return sum(item.get("status") == {"S": "confirmed"} for item in found)

    def repair(self, order_id: str, attributes: Mapping[str, Any]) -> None:
        item = self.cloud.client("dynamodb").get_item(
            TableName=self.cloud.outputs["TableName"], Key=NewOrder(order_id, []).key
        )["Item"]
        self.cloud.client("dynamodb").put_item(
            TableName=self.cloud.outputs["TableName"], Item={**item, **encode(attributes)}
        )


def _sequence(number: int) -> int:
    return 100_000_000_000_000_000_000 + number


def interrupting(patch: pytest.MonkeyPatch, at: int, times: int = 1) -> None:
    """Press Ctrl-C while an invocation is under way."""
    client: Any = BaseClient
    call = client._make_api_call  # noqa: SLF001 -- every call of boto3 passes here
    invocations = itertools.count(1)

    def made(self: BaseClient, operation: str, request: Any) -> Any:
        answer = call(self, operation, request)
        if operation == "Invoke" and next(invocations) == at:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return answer

    patch.setattr(client, "_make_api_call", made)


@contextmanager
def bench() -> Iterator[Bench]:
    """Start everything; the worker runs in a process of its own, as `make local` runs it."""
    logs: list[str] = []
    with Cloud(TEMPLATE) as cloud, Inbox(CloudClients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox:
        function = cloud.functions["Worker"]
        runtime = Runtime(function, logs.append)
        try:
            with lambda_server({function.name: runtime}) as api:
                shop = Shop(cloud.client("dynamodb"), cloud.outputs)
                yield Bench(cloud, shop, inbox, api.endpoint, logs)
        finally:
            runtime.close()
