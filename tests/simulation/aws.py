"""What is outside the worker: tables, topic, bucket. One for each schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tablestream.testing import client_error
from tablestream.testing.dynamodb import Listener, MemoryDynamoDB, MemoryTable
from tests.simulation.stream import TABLE

INVENTORY = "inventory"
JOURNAL = "journal"
IDEMPOTENCY = "idempotency"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
BUCKET = "failures"
_BATCH_ENTRIES = 10
_BATCH_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Published:
    """A message as a subscriber gets it."""

    at: float
    body: dict[str, Any]
    attributes: dict[str, str]

    @property
    def event_id(self) -> str:
        return str(self.body["eventId"])


@dataclass(slots=True)
class Topic:
    """SNS, with its limits."""

    now: Callable[[], float]
    published: list[Published] = field(default_factory=list)

    def publish(self, **request: Any) -> dict[str, Any]:
        self._take(request)
        return {"MessageId": f"m-{len(self.published)}"}

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        entries: list[dict[str, Any]] = request["PublishBatchRequestEntries"]
        if not entries:
            raise client_error("EmptyBatchRequest", "PublishBatch")
        if len(entries) > _BATCH_ENTRIES:
            raise client_error("TooManyEntriesInBatchRequest", "PublishBatch")
        if len({entry["Id"] for entry in entries}) < len(entries):
            raise client_error("BatchEntryIdsNotDistinct", "PublishBatch")
        if sum(len(entry["Message"]) for entry in entries) > _BATCH_BYTES:
            raise client_error("BatchRequestTooLong", "PublishBatch")
        for entry in entries:
            self._take(entry)
        done = [{"Id": entry["Id"], "MessageId": f"m-{len(self.published)}-{entry['Id']}"} for entry in entries]
        return {"Successful": done, "Failed": []}

    def _take(self, message: dict[str, Any]) -> None:
        attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
        self.published.append(Published(self.now(), json.loads(message["Message"]), attributes))


@dataclass(slots=True)
class Bucket:
    """S3: objects by key."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put_object(self, **request: Any) -> dict[str, Any]:
        body = request["Body"]
        self.objects[request["Key"]] = body if isinstance(body, bytes) else str(body).encode()
        return {"ETag": '"0"'}


class Aws:
    """The services together. `queue` holds what a queue as on-failure destination gets: metadata, no payload."""

    def __init__(
        self, now: Callable[[], float], listener: Listener | None = None, processing: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.dynamodb = MemoryDynamoDB(now, processing)
        self.dynamodb.tables[TABLE] = MemoryTable(("pk", "sk"), listener)
        self.dynamodb.tables[INVENTORY] = MemoryTable(("pk", "sk"))
        self.dynamodb.tables[JOURNAL] = MemoryTable(("pk",))
        self.dynamodb.tables[IDEMPOTENCY] = MemoryTable(("id",))
        self.topic = Topic(now)
        self.bucket = Bucket()
        self.queue: list[dict[str, Any]] = []

    @property
    def orders(self) -> MemoryTable:
        return self.dynamodb.tables[TABLE]

    @property
    def inventory(self) -> MemoryTable:
        return self.dynamodb.tables[INVENTORY]

    @property
    def journal(self) -> MemoryTable:
        return self.dynamodb.tables[JOURNAL]

    def stock(self, product: str, units: int) -> None:
        """Put a product into stock."""
        key = (f"PRODUCT#{product}", "STOCK")
        self.inventory.store(
            key, {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "productId": {"S": product}, "available": {"N": str(units)}}
        )

    def available(self, product: str) -> int:
        """The units of a product that are not held."""
        return int(self.inventory.items[f"PRODUCT#{product}", "STOCK"]["available"]["N"])

    def ledger(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The ledger's items by the key of their order."""
        found = {}
        for (pk, sk), item in self.inventory.items.items():
            if pk.startswith("LEDGER#"):
                found[pk.removeprefix("LEDGER#"), sk] = item
        return found
