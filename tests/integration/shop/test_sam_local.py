"""`shop.processor` as `sam local` starts it: with the stack of `make local`, without one, and as it is in AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from demo.warehouse import Shop
from demo.watch import place_samples
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.trigger.destinations import Inbox
from tests.support.cloudformation import TEMPLATE
from tests.support.events_table import EVENTS

UNRESOLVED = {
    "AWS_SAM_LOCAL": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "Worker",
    "AWS_DEFAULT_REGION": "eu-central-1",  # a user's own, which is not that of the stack
    "AWS_ACCESS_KEY_ID": "of-the-user",
    "AWS_SECRET_ACCESS_KEY": "of-the-user",
    "TABLE_NAME": "Table",
    "TABLE_ARN": "arn:aws:lambda:us-east-1:123456789012:function:Table",  # so the SAM CLI resolves `GetAtt Table.Arn`
    "INVENTORY_TABLE": "InventoryTable",
    "JOURNAL_TABLE": "JournalTable",
    "TOPIC_ARN": "Topic",
    "FAILURES_BUCKET": "FailuresBucket",
}
INVOKE = """
import json, sys
import shop.processor
from tablestream.testing import FakeContext
answer = shop.processor.handler(json.load(sys.stdin), FakeContext())
loaded = [name for name in sys.modules if "sam_local" in name or "dry_run" in name]
print(json.dumps({"answer": answer, "loaded": loaded}))
"""


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def started(environment: Mapping[str, str], event: object) -> subprocess.CompletedProcess[str]:
    """Start the function in a process of its own and send it an event."""
    return subprocess.run(
        [sys.executable, "-c", INVOKE],
        input=json.dumps(event),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """The stack as `make local` has it before any container has come."""
    with Cloud(TEMPLATE) as made:
        Shop(made.client("dynamodb"), made.outputs).stock()
        made.admit_containers(partial(place_samples, made.outputs))
        yield made


def test_with_make_local_running_the_sample_events_move_stock_and_are_announced(cloud: Cloud) -> None:
    shop = Shop(cloud.client("dynamodb"), cloud.outputs)
    stack = UNRESOLVED | {"AWS_ENDPOINT_URL": cloud.endpoint}
    with Inbox(CloudClients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox:
        placed = started(stack, sample("insert-order"))
        stock_then = shop.available()
        cancelled = started(stack, sample("modify-cancelled"))
        messages = [f"{message['type']} {message['orderId']}" for message in inbox.take()]

    assert json.loads(placed.stdout.splitlines()[-1])["answer"] == {"batchItemFailures": []}, placed.stderr
    assert f"Effects are carried out in the stack of `make local`, {cloud.endpoint}" in placed.stdout.splitlines()
    assert json.loads(cancelled.stdout.splitlines()[-1])["answer"] == {"batchItemFailures": []}
    assert stock_then == {"cup": 4, "pot": 2, "tea": 18}
    assert shop.available() == {"cup": 4, "pot": 2, "tea": 21}
    assert messages == ["order.received 1001", "order.cancelled 1005"]


def test_without_a_stack_it_is_a_dry_run() -> None:
    done = started(UNRESOLVED, sample("insert-order"))

    assert json.loads(done.stdout.splitlines()[-1])["answer"] == {"batchItemFailures": []}, done.stderr
    assert done.stdout.startswith("Dry run: ")


@pytest.mark.parametrize("lacking", ["AWS_SAM_LOCAL", "FAILURES_BUCKET"])
def test_elsewhere_names_that_are_none_keep_the_function_from_starting(lacking: str) -> None:
    environment = {name: value for name, value in UNRESOLVED.items() if name != lacking}
    done = started(environment, sample("insert-order"))

    assert done.returncode != 0
    assert "TOPIC_ARN: wanted the ARN of a standard SNS topic, got str 'Topic'" in done.stderr


def test_in_aws_nothing_of_it_is_loaded_and_the_table_counts(cloud: Cloud) -> None:
    environment = {name: value for name, value in UNRESOLVED.items() if name != "AWS_SAM_LOCAL"}
    environment |= cloud.functions["Worker"].environment
    own, foreign = (
        started(environment, event) for event in (cloud.addressed(sample("other-entity")), sample("other-entity"))
    )

    assert json.loads(own.stdout.splitlines()[-1]) == {"answer": {"batchItemFailures": []}, "loaded": []}
    assert foreign.returncode != 0
    assert "wanted records of the table" in foreign.stderr
