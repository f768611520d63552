"""What people use today, on the same handlers, with plain boto3 calls for the effects.

Each is set up as its own documentation does it; the effects are in `plain_effects`.
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

from tablestream.local.delivery.mapping import Destination, DestinationKind, MappingSettings, RetryDelay
from tests.simulation.aws import IDEMPOTENCY
from tests.simulation.boto import plain
from tests.simulation.candidates import Log, client
from tests.simulation.invocation import Handler
from tests.simulation.network import Network
from tests.simulation.plain_effects import PlainEffects
from tests.simulation.seams import SimulatedClock

QUEUE = Destination(DestinationKind.SQS, "arn:aws:sqs:eu-central-1:123456789012:failures")
RETENTION = 86_400.0
ProcessRecord = Callable[[Mapping[str, Any]], None]


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
            backoff=RetryDelay(longest=900.0),
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
    return DynamoDBPersistenceLayer(
        table_name=IDEMPOTENCY, boto3_client=client(network, "dynamodb", plain("dynamodb", 10))
    )


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
