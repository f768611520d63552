"""The HTTP API in containers: by `sam local start-api`, and each kind of sample request by `sam local invoke Api`."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo.api_samples import api_samples
from demo.warehouse import Shop
from tests.e2e import sam

PATIENCE_SECONDS = 60
USER = {"userId": "ada", "email": "ada@example.com", "name": "Ada"}


def ask(endpoint: str, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(endpoint).netloc, timeout=PATIENCE_SECONDS)
    try:
        sent = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, sent, headers if key is None else {**headers, "Idempotency-Key": key})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_requests_are_answered_by_sam_local_start_api(built: Path) -> None:
    with sam.world({}) as cloud, sam.start_api(built, "Api", cloud) as endpoint:
        assert ask(endpoint, "POST", "/users", USER)[0] == 201
        assert ask(endpoint, "POST", "/users", USER)[1]["code"] == "ALREADY_EXISTS"
        lines = [{"productId": "tea", "quantity": 2, "price": 4.5}]
        status, placed = ask(endpoint, "POST", "/users/ada/orders", {"items": lines})
        Shop(cloud.client("dynamodb"), cloud.outputs).stock()
        reserved = ask(endpoint, "POST", "/users/ada/orders?reserve=now", {"items": lines})
        for account, balance in (("ada", 10), ("bob", 0)):
            assert ask(endpoint, "PUT", f"/accounts/{account}", {"balance": balance})[0] == 201
        transfer = {"from": "ada", "to": "bob", "amount": 7}
        moved = [ask(endpoint, "POST", "/transfers", transfer, key="rent") for _ in range(2)]
        found = ask(endpoint, "GET", f"/orders/{placed['orderId']}")
        refused = ask(endpoint, "POST", "/leads", {"nmae": "Grace"})
        orders = Shop(cloud.client("dynamodb"), cloud.outputs).orders()

    assert (status, placed["total"]) == (202, 9)
    assert found == (200, placed)
    assert (reserved[0], reserved[1]["status"]) == (201, "confirmed")
    assert [status for status, _ in moved] == [201, 200]
    assert moved[0][1] == moved[1][1]
    assert (refused[0], refused[1]["code"]) == (400, "VALIDATION_ERROR")
    assert placed["orderId"] in [order.get("orderId") for order in orders]


def test_a_sample_request_is_answered_by_sam_local_invoke(built: Path) -> None:
    samples = api_samples()
    with sam.world({}) as cloud:
        placed = sam.invoke(built, "Api", samples["post-user"], cloud)
        refused = sam.invoke(built, "Api", samples["post-order-no-quantity"], cloud)

    assert placed.error is None
    assert placed.answer["statusCode"] == 201
    assert refused.answer["statusCode"] == 400
    assert "ada@example.com" not in placed.log + refused.log
