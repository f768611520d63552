"""The worker put together from its configuration: clients, sinks, journal, dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.config import Config as ClientConfig
from botocore.handlers import BUILTIN_HANDLERS
from botocore.session import Session

from shop.answers import check_answers
from shop.handlers import routes
from shop.inventory import InventorySink
from shop.notifications import SnsSink
from shop.steps import Tables
from shop.wire import write_form, write_json
from tablestream._version import __version__
from tablestream.dead_letters import S3DeadLetters
from tablestream.journal import DynamoDBJournal
from tablestream.run import Clock, Parallel, ThreadParallel
from tablestream.worker import Worker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

    from shop.cases import InventoryCounts
    from shop.config import Config
    from tablestream.report import Report

_CONNECT_SECONDS = 0.5
_CALL_SHARE = 0.45
"""The part of the margin that a call may take: there is time for one of a sink and for one of the journal."""


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

        A call of a sink that is sent just before the deadline ends, in time or by timing out, when 0.45 of the margin
        is used up. The journal's call takes no longer, and leaves a tenth of the margin for the answer. boto3 tries
        nothing twice: who calls does. Stock and journal are called through one client, so they share connections.
        """
        read_seconds = max(0.5, config.deadline_margin_seconds * _CALL_SHARE - _CONNECT_SECONDS)
        settings = _settings(config.concurrency, read_seconds=read_seconds)
        # What boto3.client does, without importing what boto3 has for resources and file transfers.
        general: Any = session()
        make = general.create_client
        tables = check_answers(write_json(make("dynamodb", config=settings)))
        failures: Any = MadeWhenUsed(lambda: Session().create_client("s3", config=settings))
        return cls(
            inventory=tables,
            journal=tables,
            topic=write_form(make("sns", config=settings)),
            failures=failures,
        )


class MadeWhenUsed:
    """Stands for a client that most execution environments never use: to make it takes a twentieth of a cold start."""

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


def session() -> Session:
    """Return a session for the clients that every start makes: of services that botocore has no handlers for.

    Of botocore's handlers it has those for all services. The others, some hundred, are for services by name (S3 among
    them) and for writing documentation; to register them takes a thirtieth of a cold start.
    """
    made = Session(include_builtin_handlers=False)
    for event, handler in (entry for entry in BUILTIN_HANDLERS if "." not in entry[0]):
        made.register(event, handler)
    return made


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
    parallel = parallel or ThreadParallel(config.concurrency)
    tables = Tables(config.table_name, config.inventory_table)
    return Worker(
        routes(),
        [
            InventorySink(clients.inventory, tables, observe=observe_inventory),
            SnsSink(clients.topic, config.topic_arn),
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
