"""Many sends at the same time, to the DynamoDB Local that DYNAMODB_LOCAL_ENDPOINT names: its transactions are real."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.support.dynamodb import ENDPOINT
from tests.support.shop_api import Answered, ShopApi, shop_apis

SENDERS = 8
ORDER = {"items": [{"productId": "tea", "quantity": 2, "price": 4.5}]}


class Sent(NamedTuple):
    method: str
    path: str
    body: Any
    key: str


@pytest.fixture(scope="module")
def apis() -> Iterator[Callable[[], ShopApi]]:
    if not ENDPOINT:
        pytest.skip("DYNAMODB_LOCAL_ENDPOINT names no DynamoDB Local")
    with shop_apis(ENDPOINT) as made:
        yield made


def sent(apis: Callable[[], ShopApi], requests: Sequence[Sent]) -> list[Answered]:
    """Send requests side by side, each until it is answered with something else than 503; return the answers."""

    def send(api: ShopApi, request: Sent) -> Answered:
        for _ in range(50):
            answer = api(request.method, request.path, request.body, key=request.key)
            if answer.status != 503:
                return answer
        raise TimeoutError(request.path)

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, [apis() for _ in requests], requests))


def test_of_many_sends_of_one_key_one_moves_money(apis: Callable[[], ShopApi]) -> None:
    api = apis()
    for account, balance in (("nat", 100), ("oli", 0)):
        assert api("PUT", f"/accounts/{account}", {"balance": balance}).status == 201
    body = {"from": "nat", "to": "oli", "amount": 10}
    answers = sent(apis, [Sent("POST", "/transfers", body, "k")] * SENDERS)
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 201}
    assert statuses[201] <= 1  # none where the first answer was lost, so that its sender asked once more
    assert len({answer.text for answer in answers}) == 1
    assert [api("GET", f"/accounts/{account}").body["balance"] for account in ("nat", "oli")] == [90, 10]
    assert len(api("GET", "/accounts/oli").body["entries"]) == 1


def test_of_many_sends_of_one_key_one_places_an_order(apis: Callable[[], ShopApi]) -> None:
    answers = sent(apis, [Sent("POST", "/users/max/orders", ORDER, "k")] * SENDERS)
    assert {answer.status for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    placed = apis()("GET", "/users/max/orders").body["items"]
    assert [order["orderId"] for order in placed] == [answers[0].body["orderId"]]


def test_money_is_conserved_whoever_pays_whom_how_often(apis: Callable[[], ShopApi]) -> None:
    api, accounts = apis(), [f"a{number}" for number in range(4)]
    for account in accounts:
        assert api("PUT", f"/accounts/{account}", {"balance": 100}).status == 201
    chance = random.Random(13)
    requests = []
    for number in range(12):
        sender, recipient = chance.sample(accounts, 2)
        body = {"from": sender, "to": recipient, "amount": chance.randint(1, 120)}
        requests += [Sent("POST", "/transfers", body, f"k{number}")] * 2
    answers = sent(apis, requests)
    done = {request.key: request for request, answer in zip(requests, answers, strict=True) if answer.status < 300}
    expected = Counter(dict.fromkeys(accounts, 100))
    for request in done.values():
        expected.update({request.body["from"]: -request.body["amount"], request.body["to"]: request.body["amount"]})
    balances = {account: api("GET", f"/accounts/{account}").body["balance"] for account in accounts}
    assert balances == expected
    assert sum(balances.values()) == 400
    assert {answer.status for answer in answers} <= {200, 201, 409}
    assert len(done) > 1
