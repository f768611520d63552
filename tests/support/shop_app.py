"""`shop.processor.handler` as Lambda calls it, in the embedded AWS of this process, with all that it writes caught."""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from shop.orders import OrderKey
from tablestream.testing import FakeContext
from tests.support.shop_aws import BUCKET, INVENTORY, JOURNAL, ORDERS, ShopAws, shop_aws
from tests.support.variables import VARIABLES

_written = io.StringIO()
"""Where the function's log goes: its logger keeps the stream that it finds when it is made."""


@dataclass
class App:
    """The deployed function and all that it touches."""

    aws: ShopAws
    handler: Any
    written: list[str] = field(default_factory=list)
    """What each invocation wrote: log lines and metrics, and the error that Lambda would log."""

    def send(self, event: Any, timeout: float = 60.0) -> Any:
        """Invoke the function as Lambda would; return what it answers or raise what it raises."""
        _written.seek(0)
        _written.truncate()
        with redirect_stdout(_written), redirect_stderr(_written):
            try:
                return self.handler(event, FakeContext(timeout))
            except Exception:
                _written.write(f"{traceback.format_exc()}\n")
                raise
            finally:
                self.written.append(_written.getvalue())

    def lines(self) -> list[dict[str, Any]]:
        """The last invocation's lines."""
        return [json.loads(line) for line in self.written[-1].splitlines() if line.startswith("{")]

    def metrics(self) -> dict[str, float]:
        """The last invocation's metrics that are not zero."""
        (line,) = [line for line in self.lines() if "_aws" in line]
        names = [metric["Name"] for group in line["_aws"]["CloudWatchMetrics"] for metric in group["Metrics"]]
        values = {name: line[name][0] if isinstance(line[name], list) else line[name] for name in names}
        return {name: value for name, value in values.items() if value}

    # --- effects -----------------------------------------------------------------------------------------------------

    def ledger(self) -> dict[str, str]:
        """State by order id."""
        found = self.items(INVENTORY)
        return {
            item["sk"]["S"].removeprefix("ORDER#"): item["state"]["S"]
            for item in found
            if item["pk"]["S"].startswith("LEDGER#")
        }

    def available(self, products: Sequence[str]) -> dict[str, int]:
        return {product: self.aws.available(product) for product in products}

    def status(self, key: OrderKey) -> str | None:
        return self.aws.order(key).get("status")

    def notifications(self) -> list[str]:
        """`<type> <order id>` of what has come to the queue since the last time, sorted."""
        bodies = [json.loads(message["Body"]) for message in self.aws.received()]
        return sorted(f"{body['type']} {body['orderId']}" for body in bodies)

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters, as they are stored."""
        listed = self.aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="dead-letters/").get("Contents", [])
        bodies = [self.aws.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in listed]
        return [json.loads(body) for body in bodies]

    def journal(self) -> list[str]:
        """The event ids in the journal."""
        return [item["pk"]["S"] for item in self.items(JOURNAL)]

    def items(self, table: str) -> list[dict[str, Any]]:
        return list(self.aws.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"])


@contextmanager
def shop_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """Create everything the function needs, empty, and hand out the function."""
    with shop_aws(monkeypatch) as aws, _logging_as_imported(_app(aws.topic_arn)) as module:
        yield App(aws, module.handler)


@cache
def _app(topic_arn: str) -> ModuleType:
    """Import the entry point once: its clients reach whichever embedded AWS is up when they are used."""
    environment = {
        **VARIABLES,
        "TABLE_NAME": ORDERS,
        "INVENTORY_TABLE": INVENTORY,
        "JOURNAL_TABLE": JOURNAL,
        "TOPIC_ARN": topic_arn,
        "FAILURES_BUCKET": BUCKET,
        "CONCURRENCY": "1",  # the emulator is not safe for threads
        # A logger of its own, that nobody else has bound to another stream.
        "POWERTOOLS_SERVICE_NAME": "shop-under-test",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
    }
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(_written):
        for name, value in environment.items():
            patch.setenv(name, value)
        sys.modules.pop("shop.processor", None)
        module = importlib.import_module("shop.processor")
        sys.modules.pop("shop.processor")
    return module


@contextmanager
def _logging_as_imported(module: ModuleType) -> Iterator[ModuleType]:
    """Lend the engine's logger the function's handlers, and give it back as other tests want it."""
    logger = logging.getLogger("tablestream")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers = list(module._logger.handlers)  # noqa: SLF001 -- as copy_config_to_registered_loggers did
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    try:
        yield module
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
