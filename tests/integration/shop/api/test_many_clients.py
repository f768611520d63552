"""Sixteen clients at once against `make local`: no server error, every accepted order decided, and the books balance.

`LOAD_SECONDS=60 make slow ARGS="-k many_clients --log-cli-level=INFO"` goes on for a minute and tells figures.
"""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer

from tablestream.local.cloud.clients import REGION
from tests.support.local_shop import LocalShop, local_shop

pytestmark = pytest.mark.slow
logger = logging.getLogger(__name__)

SECONDS = float(os.environ.get("LOAD_SECONDS", "8"))
CLIENTS = 16
ACCOUNTS, BALANCE = 5, 1000
STOCK = {"tea": 400, "cup": 150, "pot": 60}
_PATIENCE_SECONDS = 120
_MOST_GROWTH_KB = 16_000


class Customer:
    """One of those who call at the same time: places orders, looks, cancels, now and then asks something wrong."""

    def __init__(self, number: int, api: str) -> None:
        self.name = f"customer-{number}"
        self.placed: list[str] = []
        self.sends = 0
        self.statuses: Counter[int] = Counter()
        self._random = random.Random(number)
        self._api = urlsplit(api).netloc

    def act(self, until: float) -> None:
        self.ask("POST", "/users", {"userId": self.name, "email": f"{self.name}@example.com", "name": self.name})
        acts = (self._place, self._place, self._reserve, self._place_once, self._pay_once, self._look, self._cancel)
        while time.monotonic() < until:
            self._random.choice((*acts, self._err))()

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        connection = HTTPConnection(self._api, timeout=60)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            if key is not None:
                headers["Idempotency-Key"] = key
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        self.statuses[answer.status] += 1
        return json.loads(text)

    def at_once(self, path: str, body: Any) -> list[Any]:
        """Send a request three times side by side under one key; return the answers."""
        self.sends += 1
        key = f"{self.name}-{self.sends}"
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda _: self.ask("POST", path, body, key), range(3)))

    def _wanted(self) -> dict[str, Any]:
        products = self._random.sample(sorted(STOCK), self._random.randint(1, 3))
        return {"items": [{"productId": one, "quantity": self._random.randint(1, 3), "price": 2.5} for one in products]}

    def _place(self) -> None:
        self.placed.append(self.ask("POST", f"/users/{self.name}/orders", self._wanted())["orderId"])

    def _place_once(self) -> None:
        answers = self.at_once(f"/users/{self.name}/orders", self._wanted())
        assert answers == [answers[0]] * 3
        self.placed.append(answers[0]["orderId"])

    def _reserve(self) -> None:
        answers = self.at_once(f"/users/{self.name}/orders?reserve=now", self._wanted())
        ids = {answer["orderId"] for answer in answers if "orderId" in answer}
        assert len(ids) <= 1  # some sends may have found too little, and a later one enough
        assert {answer.get("code", "INSUFFICIENT_INVENTORY") for answer in answers} == {"INSUFFICIENT_INVENTORY"}
        self.placed += ids

    def _pay_once(self) -> None:
        sender, recipient = self._random.sample(range(ACCOUNTS), 2)
        amount = self._random.randint(1, BALANCE // 4)
        answers = self.at_once("/transfers", {"from": f"a{sender}", "to": f"a{recipient}", "amount": amount})
        assert len({answer["transferId"] for answer in answers if "transferId" in answer}) <= 1
        assert {answer.get("code", "INSUFFICIENT_BALANCE") for answer in answers} == {"INSUFFICIENT_BALANCE"}

    def _look(self) -> None:
        assert self.ask("GET", f"/users/{self.name}/orders?limit=5")["count"] == min(5, len(self.placed))

    def _cancel(self) -> None:
        if self.placed:
            path = f"/users/{self.name}/orders/{self._random.choice(self.placed)}"
            order = self.ask("GET", path)
            self.ask("PATCH", path, {"status": "cancelled", "expectedVersion": order["version"]})

    def _err(self) -> None:
        self.ask("POST", f"/users/{self.name}/orders", {"items": []})


@pytest.fixture(scope="module")
def shop() -> Iterator[LocalShop]:
    with local_shop() as shop:
        yield shop


def client(shop: LocalShop) -> Any:
    credentials: dict[str, Any] = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client("dynamodb", endpoint_url=shop.endpoint, region_name=REGION, **credentials)


def items(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    read = TypeDeserializer().deserialize
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    return [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]


def resident_kb(shop: LocalShop) -> int:
    """The memory of the program that runs the HTTP function."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == shop.pid and b"_HANDLER=shop.api.app.handler" in variables:
                return int((folder / "status").read_text().partition("VmRSS:")[2].split()[0])
        except (OSError, ValueError):
            continue
    raise LookupError("wanted the program of the HTTP function, found none")


def test_many_clients_at_once_break_nothing(shop: LocalShop) -> None:
    dynamodb, inventory = client(shop), shop.outputs["InventoryTableName"]
    for product, units in STOCK.items():
        key = {"pk": {"S": f"PRODUCT#{product}"}, "sk": {"S": "STOCK"}}
        item = {**key, "productId": {"S": product}, "available": {"N": str(units)}}
        dynamodb.put_item(TableName=inventory, Item=item)
    customers = [Customer(number, shop.api) for number in range(CLIENTS)]
    for number in range(ACCOUNTS):
        assert customers[0].ask("PUT", f"/accounts/a{number}", {"balance": BALANCE})["balance"] == BALANCE
    customers[0].act(time.monotonic() + SECONDS / 4)  # what is made once is made now
    before, until = resident_kb(shop), time.monotonic() + SECONDS
    threads = [threading.Thread(target=customer.act, args=(until,)) for customer in customers[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grown = resident_kb(shop) - before

    statuses = sum([customer.statuses for customer in customers], Counter())
    placed = {order for customer in customers for order in customer.placed}
    orders = settled(dynamodb, shop.outputs, len(placed))
    ends = dict(Counter(order["status"] for order in orders))
    logger.info("%s s: answers %s, orders %s, %s kB more", SECONDS, dict(sorted(statuses.items())), ends, grown)
    assert {status for status in statuses if status >= 500} == set()
    assert {200, 201, 202, 400} <= set(statuses)
    assert {order["orderId"] for order in orders} == placed
    assert grown < _MOST_GROWTH_KB
    money = [item for item in items(dynamodb, shop.outputs["TableName"]) if item["pk"].startswith("ACCOUNT#")]
    assert_accounts_balance(money)


def assert_accounts_balance(money: list[dict[str, Any]]) -> None:
    """Assert that no money came or went, and that each balance is what the entries say."""
    balances = {item["pk"]: int(item["balance"]) for item in money if item["sk"] == "BALANCE"}
    told = dict.fromkeys(balances, BALANCE)
    entries = [item for item in money if item["entityType"] == "Entry"]
    for entry in entries:
        told[entry["pk"]] += int(entry["amount"]) * (1 if entry["type"] == "CREDIT" else -1)
    assert balances == told
    assert sum(balances.values()) == ACCOUNTS * BALANCE
    assert min(balances.values()) >= 0
    assert Counter(Counter(entry["transferId"] for entry in entries).values()).keys() == {2}


def settled(dynamodb: Any, outputs: Mapping[str, str], wanted: int) -> list[dict[str, Any]]:
    """Wait until the worker has decided every order and given back what cancelled ones held; return the orders."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        orders = [item for item in items(dynamodb, outputs["TableName"]) if item["entityType"] == "Order"]
        stock_and_ledger = items(dynamodb, outputs["InventoryTableName"])
        states = {(entry["pk"], entry["sk"]): entry["state"] for entry in stock_and_ledger if "state" in entry}
        if len(orders) == wanted and all(is_settled(order, states) for order in orders):
            assert books(stock_and_ledger) == STOCK
            return orders
        time.sleep(0.5)
    raise TimeoutError(f"wanted {wanted} orders decided within {_PATIENCE_SECONDS} s")


def is_settled(order: Mapping[str, Any], states: Mapping[tuple[str, str], str]) -> bool:
    state = states.get((f"LEDGER#{order['pk']}", order["sk"]))
    told = {"confirmed": {"RESERVED"}, "rejected": {"REJECTED"}, "cancelled": {"RELEASED", "WITHDRAWN", "REJECTED"}}
    return state in told.get(order["status"], ())


def books(stock_and_ledger: list[dict[str, Any]]) -> dict[str, int]:
    """What is available and what ledgers hold, by product."""
    total: Counter[str] = Counter()
    for item in stock_and_ledger:
        if "available" in item:
            total[item["productId"]] += int(item["available"])
        elif item["state"] == "RESERVED":
            total.update({product: int(units) for product, units in item["lines"].items()})
    return dict(total)
