"""The sample requests of events/api: the files are those that are made, and the function answers each as it should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.api_samples import api_samples
from demo.samples import as_text
from demo.warehouse import Shop
from demo.watch import place_samples
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.runtime.runtime import Runtime

ROOT = Path(__file__).parents[3]
ANSWERS = {
    "post-user": (201, None),
    "post-user-wrong-fields": (400, "VALIDATION_ERROR"),
    "get-user": (200, None),
    "get-user-with-orders": (200, None),
    "get-users-by-email": (200, None),
    "patch-user": (200, None),
    "put-settings": (200, None),
    "post-view": (200, None),
    "post-order": (202, None),
    "post-order-no-quantity": (400, "VALIDATION_ERROR"),
    "post-order-once": (202, None),
    "post-order-again": (202, None),
    "post-order-other": (422, "IDEMPOTENCY_KEY_REUSED"),
    "post-order-reserve": (201, None),
    "post-order-reserve-too-much": (409, "INSUFFICIENT_INVENTORY"),
    "put-account": (201, None),
    "put-account-empty": (201, None),
    "post-transfer": (201, None),
    "post-transfer-again": (200, None),
    "post-transfer-too-much": (409, "INSUFFICIENT_BALANCE"),
    "post-transfer-no-key": (400, "VALIDATION_ERROR"),
    "get-account": (200, None),
    "get-orders": (200, None),
    "get-orders-by-status": (200, None),
    "get-orders-foreign-cursor": (400, "INVALID_CURSOR"),
    "get-order": (200, None),
    "patch-order": (200, None),
    "patch-order-old-version": (409, "VERSION_CONFLICT"),
    "post-lead": (201, None),
    "post-lead-form": (400, "VALIDATION_ERROR"),
    "post-lead-no-json": (400, "VALIDATION_ERROR"),
    "delete-user": (200, None),
    "unknown-path": (404, "NOT_FOUND"),
    "unknown-method": (405, "METHOD_NOT_ALLOWED"),
}
"""The status and the code of each answer, in the order in which the requests are made."""


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, Any]]:
    with Cloud(ROOT / "template.yaml") as cloud:
        place_samples(cloud.outputs)
        Shop(cloud.client("dynamodb"), cloud.outputs).stock()
        runtime = Runtime(cloud.functions["Api"])
        try:
            yield {name: runtime.invoke(event).payload for name, event in api_samples().items()}
        finally:
            runtime.close()


def test_the_files_are_those_that_are_made() -> None:
    files = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "events" / "api").glob("*.json")}
    assert files == {name: as_text(event) for name, event in api_samples().items()}


def test_each_request_has_its_answer_in_the_table() -> None:
    assert list(ANSWERS) == list(api_samples())


@pytest.mark.parametrize("name", ANSWERS)
def test_a_request_is_answered(name: str, answers: dict[str, Any]) -> None:
    answer = answers[name]
    code = json.loads(answer["body"]).get("code")
    assert (answer["statusCode"], code) == ANSWERS[name]


def test_an_order_that_was_changed_meanwhile_is_shown_as_it_is(answers: dict[str, Any]) -> None:
    current = json.loads(answers["patch-order-old-version"]["body"])["current"]
    assert (current["orderId"], current["status"], current["version"]) == ("1001", "cancelled", 2)


def test_orders_by_status_are_those_of_the_days_that_were_asked_for(answers: dict[str, Any]) -> None:
    page = json.loads(answers["get-orders-by-status"]["body"])
    assert page["count"] > 0
    assert {order["status"] for order in page["items"]} == {"confirmed"}
    assert {order["createdAt"][:10] for order in page["items"]} == {"2025-11-20"}


def test_a_request_that_is_sent_again_under_its_key_is_answered_the_same(answers: dict[str, Any]) -> None:
    for first, again in (("post-order-once", "post-order-again"), ("post-transfer", "post-transfer-again")):
        assert json.loads(answers[first]["body"]) == json.loads(answers[again]["body"])
    account = json.loads(answers["get-account"]["body"])
    assert (account["balance"], len(account["entries"])) == (750, 1)
