"""The worker put together from its configuration: clients, sinks, journal, dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config as ClientConfig

from shop.handlers import routes
from shop.inventory import InventorySink
from shop.notifications import SnsSink
from shop.steps import Tables
from shop.wire import write_form, write_json
from tablestream._version import __version__
from tablestream.clock import Clock, SystemClock
from tablestream.dead_letters import S3DeadLetters
from tablestream.journal import DynamoDBJournal
from tablestream.parallel import Parallel, ThreadParallel
from tablestream.worker import Worker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

    from shop.cases import InventoryCounts
    from shop.config import Config
    from tablestream.report import Report

_CONNECT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Clients:
    """The connections to AWS, made once for an execution environment."""

    inventory: DynamoDBClient
    journal: DynamoDBClient
    topic: SNSClient
    failures: S3Client

    @classmethod
    def connect(cls, config: Config) -> Clients:
        """Make the clients.

        A call of a sink that is sent just before the deadline ends, in time or by timing out, when half of the margin
        is left: for the journal, whose call ends before the margin does. boto3 tries nothing twice: who calls does.
        """
        seconds = config.deadline_margin_seconds
        of_sinks = _settings(config.concurrency, read_seconds=max(0.5, seconds / 2 - _CONNECT_SECONDS))
        of_journal = _settings(config.concurrency, read_seconds=max(0.5, seconds * 0.4 - _CONNECT_SECONDS))
        # What boto3.client does, without importing what boto3 has for resources and file transfers.
        make: Any = botocore.session.Session().create_client
        failures: Any = MadeWhenUsed(lambda: make("s3", config=of_sinks))
        return cls(
            inventory=write_json(make("dynamodb", config=of_sinks)),
            journal=write_json(make("dynamodb", config=of_journal)),
            topic=write_form(make("sns", config=of_sinks)),
            failures=failures,
        )


class MadeWhenUsed:
    """Stands for a client that most execution environments never use: its model takes a tenth of a cold start."""

    def __init__(self, make: Callable[[], object]) -> None:
        """Take what makes the client."""
        self._make = make
        self._lock = Lock()
        self._made: object = None

    def __getattr__(self, name: str) -> object:
        """Return what the client has under this name; several threads may be the first to ask."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def _settings(connections: int, *, read_seconds: float) -> ClientConfig:
    return ClientConfig(
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        # What is sent is built here, from checked values; checking it again takes longer than sending it.
        parameter_validation=False,
        # botocore's own is put together anew for each call, twice.
        user_agent=f"tablestream/{__version__}",
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
    clock = clock or SystemClock()
    parallel = parallel or ThreadParallel(config.concurrency)
    tables = Tables(config.table_name, config.inventory_table)
    return Worker(
        routes(),
        [
            InventorySink(clients.inventory, tables, parallel=parallel, clock=clock, observe=observe_inventory),
            SnsSink(clients.topic, config.topic_arn, parallel=parallel, clock=clock),
        ],
        journal=DynamoDBJournal(
            clients.journal, config.journal_table, ttl_days=config.journal_ttl_days, clock=clock, parallel=parallel
        ),
        dead_letters=S3DeadLetters(clients.failures, config.failures_bucket, parallel=parallel),
        table_name=config.table_name,
        margin_seconds=config.deadline_margin_seconds,
        clock=clock,
        observe=observe,
    )
