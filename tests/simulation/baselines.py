"""What people use today, on the same handlers, with plain boto3 calls for the effects.

Each is set up as its own documentation does it. The effects are written with care for what can be had without a ledger:
stock that was taken is given back when the order turns out to be short or decided already.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from botocore.exceptions import ClientError

from local.settings import Backoff, Destination, DestinationKind, MappingSettings
from shop.effects import Notification, Release, Reserve
from shop.handlers import routes
from shop.messages import compose
from shop.orders import OrderKey, OrderLine
from tablestream.change import Change
from tests.simulation.aws import IDEMPOTENCY, INVENTORY, TOPIC
from tests.simulation.candidates import Log, client
from tests.simulation.invocation import Handler
from tests.simulation.network import Network
from tests.simulation.scheduler import SimulatedClock
from tests.simulation.stream import TABLE

QUEUE = Destination(DestinationKind.SQS, "arn:aws:sqs:eu-central-1:123456789012:failures")
RETENTION = 86_400.0
ProcessRecord = Callable[[Mapping[str, Any]], None]


class PlainEffects:
    """The handlers' effects, one call after the other, as tutorials write them."""

    def __init__(self, network: Network, log: Log) -> None:
        # boto3's defaults: ten attempts for DynamoDB, five elsewhere.
        self._dynamodb = client(network, "dynamodb", 10)
        self._sns = client(network, "topic", 5)
        self._router = routes()
        self._log = log

    def process(self, record: Mapping[str, Any]) -> None:
        """Carry out what a record leads to; raises whatever goes wrong."""
        handlers = self._router.handlers(record)
        if not handlers:
            return
        change = Change.from_record(record)
        # All handlers first: a bad record has no effect.
        for effect in [handler(change) for handler in handlers]:
            if isinstance(effect, Reserve):
                self._reserve(effect)
            elif isinstance(effect, Release):
                self._release(effect, change)
            elif isinstance(effect, Notification):
                self._publish(effect)

    def _reserve(self, reserve: Reserve) -> None:
        taken: list[OrderLine] = []
        status = "confirmed"
        for line in reserve.lines:
            if not self._move(line, "SET available = available - :units", "available >= :units"):
                status = "rejected"
                break
            taken.append(line)
        decided = self._decide(reserve.order, status)
        if status == "rejected" or not decided:
            for line in taken:
                self._move(line, "ADD available :units")
        self._log.applied.add((reserve.event_id, "reserve"))

    def _release(self, release: Release, change: Change) -> None:
        before = change.old or change.image
        if before["status"] == "confirmed":
            for line in _lines(before):
                self._move(line, "ADD available :units")
        self._log.applied.add((release.event_id, "release"))

    def _move(self, line: OrderLine, update: str, condition: str | None = None) -> bool:
        request: dict[str, Any] = {
            "TableName": INVENTORY,
            "Key": {"pk": {"S": f"PRODUCT#{line.product_id}"}, "sk": {"S": "STOCK"}},
            "UpdateExpression": update,
            "ExpressionAttributeValues": {":units": {"N": str(line.quantity)}},
        }
        if condition is not None:
            request["ConditionExpression"] = condition
        return self._update(request)

    def _decide(self, order: OrderKey, status: str) -> bool:
        return self._update(
            {
                "TableName": TABLE,
                "Key": {"pk": {"S": order.pk}, "sk": {"S": order.sk}},
                "UpdateExpression": "SET #status = :status, version = version + :one",
                "ConditionExpression": "#status = :pending",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {
                    ":status": {"S": status},
                    ":pending": {"S": "pending"},
                    ":one": {"N": "1"},
                },
            }
        )

    def _update(self, request: dict[str, Any]) -> bool:
        """Return False when the condition does not hold."""
        try:
            self._dynamodb.update_item(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _publish(self, notification: Notification) -> None:
        message = compose(notification)
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
        self._sns.publish(TopicArn=TOPIC, Message=message.body, MessageAttributes=attributes)


def _lines(image: Mapping[str, Any]) -> list[OrderLine]:
    return [OrderLine(line["productId"], line["quantity"]) for line in image["items"]]


@dataclass(frozen=True, slots=True)
class ThrowOnError:
    """A loop that raises at the first error.

    Without bisect, the mapping has the service's defaults: retried until the stream has forgotten the record. With
    it, a bounded number of retries and a queue for what is given up, as the Lambda developer guide recommends.
    """

    bisect: bool
    has_ledger: bool = False

    @property
    def name(self) -> str:
        return f"throw on error, {'bisect' if self.bisect else 'defaults'}"

    def settings(self, rng: random.Random, *, retries: bool) -> MappingSettings:
        retried = 3 if self.bisect else -1
        return MappingSettings(
            batch_size=rng.choice((2, 3, 5, 10, 100)),
            max_retries=retried if retries else 0,
            max_age=RETENTION,
            bisect=self.bisect,
            function_timeout=20.0,
            destination=QUEUE if self.bisect else None,
            # Longer waits than AWS has, for speed: a day of retries a minute apart takes a thousand invocations.
            backoff=Backoff(longest=900.0),
        )

    def handler(self, network: Network, log: Log) -> Handler:
        effects = PlainEffects(network, log)

        def handle(event: dict[str, Any], _context: object) -> None:
            for record in event["Records"]:
                effects.process(record)

        return handle

    def around(self, clock: SimulatedClock) -> AbstractContextManager[object]:
        del clock
        return nullcontext()


@dataclass(frozen=True, slots=True)
class Powertools:
    """Powertools' BatchProcessor, with or without its Idempotency; the mapping of its documentation's SAM example."""

    idempotency: bool
    has_ledger: bool = False

    @property
    def name(self) -> str:
        return f"Powertools batch{' + idempotency' if self.idempotency else ''}"

    def settings(self, rng: random.Random, *, retries: bool) -> MappingSettings:
        return MappingSettings(
            batch_size=rng.choice((2, 3, 5, 10, 100)),
            max_retries=2 if retries else 0,
            max_age=RETENTION,
            report_failures=True,
            function_timeout=20.0,
            destination=QUEUE,
        )

    def handler(self, network: Network, log: Log) -> Handler:
        process = PlainEffects(network, log).process
        store = _store(network) if self.idempotency else None

        def handle(event: dict[str, Any], context: Any) -> Any:
            each = process if store is None else _idempotent(process, store, context)
            processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
            return process_partial_response(
                event=event,
                record_handler=lambda record: each(record=record.raw_event),
                processor=processor,
                context=context,
            )

        return handle

    def around(self, clock: SimulatedClock) -> AbstractContextManager[object]:
        return _on_clock(clock) if self.idempotency else nullcontext()


def _store(network: Network) -> DynamoDBPersistenceLayer:
    return DynamoDBPersistenceLayer(table_name=IDEMPOTENCY, boto3_client=client(network, "dynamodb", 10))


def _idempotent(process: ProcessRecord, store: DynamoDBPersistenceLayer, context: Any) -> Callable[..., Any]:
    config = IdempotencyConfig(event_key_jmespath="eventID")
    config.register_lambda_context(context)

    decorate: Any = idempotent_function(data_keyword_argument="record", persistence_store=store, config=config)
    wrapped: Callable[..., Any] = decorate(_of_record(process))
    return wrapped


def _of_record(process: ProcessRecord) -> ProcessRecord:
    """Return a function with the argument's name that the decorator looks for."""

    def each(record: Mapping[str, Any]) -> None:
        process(record)

    return each


def _on_clock(clock: SimulatedClock) -> AbstractContextManager[object]:
    """Powertools reads the wall clock: have it read the schedule's."""

    class Now(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Now:
            return cls.fromtimestamp(clock.now(), tz)

    module = SimpleNamespace(datetime=Now, timedelta=dt.timedelta)
    package = "aws_lambda_powertools.utilities.idempotency"
    stack = ExitStack()
    for name in ("base", "persistence.base", "persistence.datarecord", "persistence.dynamodb"):
        stack.enter_context(patch(f"{package}.{name}.dt", module))
    return stack


BASELINES = (
    ThrowOnError(bisect=False),
    ThrowOnError(bisect=True),
    Powertools(idempotency=False),
    Powertools(idempotency=True),
)
