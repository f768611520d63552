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
STOCK = {"tea": 400, "cup": 150, "pot": 60}
_PATIENCE_SECONDS = 120
_MOST_GROWTH_KB = 16_000


class Customer:
    """One of those who call at the same time: places orders, looks, cancels, now and then asks something wrong."""

    def __init__(self, number: int, api: str) -> None:
        self.name = f"customer-{number}"
        self.placed: list[str] = []
        self.statuses: Counter[int] = Counter()
        self._random = random.Random(number)
        self._api = urlsplit(api).netloc

    def act(self, until: float) -> None:
        self.ask("POST", "/users", {"userId": self.name, "email": f"{self.name}@example.com", "name": self.name})
        while time.monotonic() < until:
            self._random.choice((self._place, self._place, self._look, self._cancel, self._err))()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection(self._api, timeout=60)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        self.statuses[answer.status] += 1
        return json.loads(text)

    def _place(self) -> None:
        products = self._random.sample(sorted(STOCK), self._random.randint(1, 3))
        items = [{"productId": one, "quantity": self._random.randint(1, 3), "price": 2.5} for one in products]
        self.placed.append(self.ask("POST", f"/users/{self.name}/orders", {"items": items})["orderId"])

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
