"""The worker put together from its configuration: clients, sinks, journal, dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.session import Session

from shop.handlers import router
from shop.stock.decisions import Tables
from shop.stock.sink import InventorySink
from tablestream.dynamodb.client import LazyClient, dynamodb_client, session, settings
from tablestream.dynamodb.journal import DynamoDBJournal
from tablestream.run import Clock, Parallel, ThreadParallel
from tablestream.sinks import S3DeadLetters, Topic
from tablestream.sinks.sns import write_form
from tablestream.worker import Worker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

    from shop.config import Config
    from shop.stock.counts import InventoryCounts
    from tablestream.report import Report


NOTIFICATIONS = "notifications"
"""The name of the sink of announcements in the journal."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The connections to AWS, made once for an execution environment."""

    inventory: DynamoDBClient
    journal: DynamoDBClient
    topic: SNSClient
    failures: S3Client

    @classmethod
    def connect(cls, config: Config) -> Clients:
        """Make the clients; stock and journal are called through one, so they share connections."""
        config_of_clients = settings(config.deadline_margin_seconds, config.concurrency)
        # What boto3.client does, without importing what boto3 has for resources and file transfers.
        general = session()
        tables = dynamodb_client(general, config_of_clients)
        failures: Any = LazyClient(lambda: Session().create_client("s3", config=config_of_clients))
        topic: Any = general.create_client("sns", config=config_of_clients)
        return cls(
            inventory=tables,
            journal=tables,
            topic=write_form(topic),
            failures=failures,
        )


def _nothing(_: object) -> None:
    """Observe nothing."""


def assemble(
    config: Config,
    clients: Clients,
    *,
    clock: Clock | None = None,
    parallel: Parallel | None = None,
    observe: Callable[[Report], None] = _nothing,
    observe_inventory: Callable[[InventoryCounts], None] = _nothing,
) -> Worker:
    """Return the worker that moves stock first and announces then."""
    parallel = parallel or ThreadParallel(config.concurrency)
    tables = Tables(config.table_name, config.inventory_table)
    worker = Worker(
        sinks=[
            InventorySink(clients.inventory, tables, observe=observe_inventory),
            Topic(config.topic_arn, clients.topic, sink_name=NOTIFICATIONS),
        ],
        journal=DynamoDBJournal(clients.journal, config.journal_table, ttl_days=config.journal_ttl_days),
        dead_letters=S3DeadLetters(clients.failures, config.failures_bucket),
        name=config.consumer,
        table=None if config.any_table else config.table_arn or config.table_name,
        margin_seconds=config.deadline_margin_seconds,
        ignore_before=config.ignore_before,
        local_changes_only=config.local_changes_only,
        clock=clock,
        parallel=parallel,
        observe=observe,
    )
    worker.include(router)
    return worker
