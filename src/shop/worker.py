"""The shop's worker: stock moves first, and is announced then."""

from __future__ import annotations

import re
from collections.abc import Callable

from shop.handlers import router
from shop.stock.counts import InventoryCounts
from shop.stock.sink import InventorySink
from tablestream import Clock, Parallel, Report, Worker
from tablestream.aws import Aws
from tablestream.run import DEFAULT_MARGIN_SECONDS
from tablestream.sinks import Topic
from tablestream.worker import DEFAULT_CONCURRENCY

TABLE_ARN = re.compile(r"arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}")


def _ignore(_: object) -> None:
    """Observe nothing."""


def make_worker(
    aws: Aws,
    *,
    observe: Callable[[Report], None] = _ignore,
    observe_inventory: Callable[[InventoryCounts], None] = _ignore,
    clock: Clock | None = None,
    parallel: Parallel | None = None,
) -> Worker:
    """Return the worker, set up by the variables of the template; `handler(aws)` connects it and tells what is wrong.

    Where the table's ARN is given, records of a table of the same name in another account or region are refused.
    """
    worker = Worker(
        table=_table(aws),
        sinks=[InventorySink(observe=observe_inventory), Topic("notifications", variable="TOPIC_ARN")],
        margin_seconds=aws.number("DEADLINE_MARGIN_SECONDS", DEFAULT_MARGIN_SECONDS, 2.0, 60.0),
        concurrency=aws.number("CONCURRENCY", DEFAULT_CONCURRENCY, 1, 64),
        ignore_before=aws.time("IGNORE_BEFORE"),
        local_changes_only=aws.switch("LOCAL_CHANGES_ONLY"),
        observe=observe,
        clock=clock,
        parallel=parallel,
    )
    worker.include(router)
    return worker


def _table(aws: Aws) -> str | None:
    """Return the ARN of the orders' table, or its name; of the first the SAM CLI makes the ARN of a function."""
    if aws.is_sam_local or aws.optional("TABLE_ARN") is None:
        return aws.optional("TABLE_NAME")
    return aws.named("TABLE_ARN", TABLE_ARN, "a table's ARN")
