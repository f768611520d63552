"""`shop.processor.handler`, wired as it is deployed, against the embedded AWS."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from shop.orders import OrderKey
from tablestream.errors import ConfigurationError, InvalidEvent, NoProgress
from tablestream.testing import FakeContext, event, inserted, modified, removed
from tests.support.orders import order_item
from tests.support.shop_aws import BUCKET, INVENTORY, JOURNAL, ORDERS, ShopAws, shop_aws

if TYPE_CHECKING:
    from types import ModuleType

KEY = OrderKey("USER#c-1", "ORDER#o-1")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopAws]:
    with shop_aws(monkeypatch) as made:
        yield made


@pytest.fixture
def environment(aws: ShopAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, str]:
    settings = {
        "TABLE_NAME": ORDERS,
        "INVENTORY_TABLE": INVENTORY,
        "JOURNAL_TABLE": JOURNAL,
        "TOPIC_ARN": aws.topic_arn,
        "FAILURES_BUCKET": BUCKET,
        "CONCURRENCY": "1",  # the emulator is not safe for threads
        "POWERTOOLS_LOG_LEVEL": "INFO",
        # Powertools keeps a logger for each service, with the output it was first given: this test's has to be its own.
        "POWERTOOLS_SERVICE_NAME": request.node.name,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@dataclass
class Deployed:
    """The function, and what it has written since last asked."""

    capture: pytest.CaptureFixture[str]
    app: ModuleType | None = None

    def handler(self, happening: object) -> Any:
        """Invoke the function, starting it before the first time."""
        if self.app is None:
            self.app = fresh_app()
        return self.app.handler(happening, FakeContext())

    def output(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the log lines and the metrics."""
        lines = [json.loads(line) for line in self.capture.readouterr().out.splitlines()]
        logs = [line for line in lines if "_aws" not in line]
        metrics = [line for line in lines if "_aws" in line]
        assert len(metrics) <= 1
        return logs, {name: value for line in metrics for name, value in line.items() if name != "_aws"}


@pytest.fixture
def deployed(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Iterator[Deployed]:
    assert environment
    library = logging.getLogger("tablestream")
    before = (library.handlers, library.propagate, library.level)
    yield Deployed(capsys)
    library.handlers, library.propagate, library.level = before


def fresh_app() -> ModuleType:
    sys.modules.pop("shop.processor", None)
    try:
        return importlib.import_module("shop.processor")
    finally:
        sys.modules.pop("shop.processor", None)
        gc.enable()  # which a start that fails does not come to


def test_an_order_is_confirmed_and_announced(aws: ShopAws, deployed: Deployed) -> None:
    aws.stock(tea=5, cup=5)
    aws.put(ORDERS, order_item())
    assert deployed.handler(event(inserted(order_item()))) == {"batchItemFailures": []}
    assert aws.order(KEY)["status"] == "confirmed"
    assert (aws.available("tea"), aws.available("cup")) == (3, 4)
    assert [json.loads(message["Body"])["type"] for message in aws.received()] == ["order.received"]


def test_logs_are_json_with_a_correlation_id_and_no_personal_data(aws: ShopAws, deployed: Deployed) -> None:
    aws.put(ORDERS, order_item())
    deployed.handler(event(inserted(order_item()), inserted(order_item(sk="ORDER#o-2", items=[]))))
    logs, _ = deployed.output()
    assert [line["message"] for line in logs] == ["dead letter stored", "batch processed"]
    for line in logs:
        assert line["correlation_id"] == FakeContext.aws_request_id
        assert line["service"] == os.environ["POWERTOOLS_SERVICE_NAME"]
    assert not {"jane", "c-1", "o-1", "USER"} & set(json.dumps(logs).replace("@", '"').replace("#", '"').split('"'))


def test_metrics_say_what_became_of_records_and_orders(aws: ShopAws, deployed: Deployed) -> None:
    aws.stock(tea=5, cup=5)
    second = order_item(sk="ORDER#o-2", orderId="o-2", items=[{"productId": "gold", "quantity": 1}])
    for item in (order_item(), second):
        aws.put(ORDERS, item)
    deployed.handler(event(inserted(order_item()), inserted(second), inserted(order_item(sk="ORDER#o-3", items=[]))))
    _, metrics = deployed.output()
    age = metrics.pop("OldestRecordAge")
    assert age[0] > 0
    assert {name: value for name, value in metrics.items() if value != [0.0]} == {
        "service": os.environ["POWERTOOLS_SERVICE_NAME"],
        "Records": [3.0],
        "RecordsApplied": [2.0],
        "DeadLetters": [1.0],
        "OrdersConfirmed": [1.0],
        "OrdersRejected": [1.0],
        "UnitsReserved": [3.0],
    }
    assert metrics["StockConflicts"] == [0.0]


def test_metrics_are_written_also_when_the_invocation_fails(aws: ShopAws, deployed: Deployed) -> None:
    aws.sns.delete_topic(TopicArn=aws.topic_arn)
    with pytest.raises(NoProgress):
        deployed.handler(event(inserted(order_item()), inserted(order_item(sk="ORDER#o-2"))))
    _, metrics = deployed.output()
    assert metrics["InvocationErrors"] == [1.0]
    assert metrics["RecordsFailed"] == [2.0]
    with pytest.raises(InvalidEvent):
        deployed.handler({"Records": [{"eventSource": "aws:sqs"}]})
    _, metrics = deployed.output()
    assert metrics["InvocationErrors"] == [1.0]
    assert "OldestRecordAge" not in metrics


def test_a_life_of_an_order_leaves_the_stock_as_it_was(aws: ShopAws, deployed: Deployed) -> None:
    aws.stock(tea=5, cup=5)
    aws.put(ORDERS, order_item())
    placed, confirmed, cancelled = order_item(), order_item(status="confirmed"), order_item(status="cancelled")
    for happening in (
        inserted(placed),
        modified(placed, confirmed),
        modified(confirmed, cancelled),
        removed(cancelled),
    ):
        assert deployed.handler(event(happening)) == {"batchItemFailures": []}
    assert (aws.available("tea"), aws.available("cup")) == (5, 5)
    assert aws.ledger(KEY)["state"] == "RELEASED"
    bodies = [json.loads(message["Body"]) for message in aws.received()]
    assert [(body["type"], body["previousStatus"]) for body in bodies] == [
        ("order.received", None),
        ("order.confirmed", "pending"),
        ("order.cancelled", "confirmed"),
        ("order.removed", None),
    ]


@pytest.mark.usefixtures("environment")
def test_a_configuration_that_is_wrong_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOPIC_ARN")
    with pytest.raises(ConfigurationError, match="TOPIC_ARN: wanted the ARN of a standard SNS topic, got nothing"):
        fresh_app()


@pytest.mark.parametrize("entry", ["shop.processor", "shop.api.app"])
@pytest.mark.parametrize(("disabled", "loaded"), [("true", "False"), ("false", "True")])
def test_the_sdk_of_x_ray_is_loaded_only_where_tracing_is_on(
    environment: dict[str, str], disabled: str, loaded: str, entry: str
) -> None:
    in_lambda = {"LAMBDA_TASK_ROOT": "/var/task", "POWERTOOLS_TRACE_DISABLED": disabled}
    asked = f"import sys, {entry}; print('aws_xray_sdk' in sys.modules)"
    assert answered(asked, {**environment, **in_lambda}) == loaded


def test_the_collector_is_off_only_while_the_function_starts(environment: dict[str, str]) -> None:
    asked = """
import gc
def collections():
    return sum(generation["collections"] for generation in gc.get_stats())
gc.collect()
before = collections()
import shop.processor
from tablestream.aws import YOUNG_CONTAINERS
print(collections() - before, gc.isenabled(), gc.get_threshold()[0] == YOUNG_CONTAINERS)
"""
    collected, enabled, for_batches = answered(asked, environment).split()
    assert int(collected) <= 1  # finding the module can come first; a whole start has some twenty
    assert (enabled, for_batches) == ("True", "True")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no process to a core")
def test_with_a_part_of_a_core_it_stays_on_one(environment: dict[str, str]) -> None:
    asked = "import os, shop.processor; print(len(os.sched_getaffinity(0)))"
    cores = {
        memory: answered(asked, {**environment, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory})
        for memory in ("512", "2048")
    }
    assert cores == {"512": "1", "2048": str(len(os.sched_getaffinity(0)))}


def answered(program: str, environment: dict[str, str]) -> str:
    """Run a program in a fresh process; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
