"""docs/access-patterns.md is what the API does: its routes, functions, indexes, calls and tests."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from shop.stores import accounts, customer_orders, leads, reviews, sessions, users
from shop.stores.entity import INDEXES
from tests.support.cloudformation import ROOT
from tests.support.shop_api import ShopApi

PAGE = (ROOT / "docs" / "access-patterns.md").read_text(encoding="utf-8")
STORES = {
    name: found
    for module in (accounts, customer_orders, leads, reviews, sessions, users)
    for name, found in inspect.getmembers(module, inspect.isclass)
}
LINE = {"productId": "tea", "quantity": 1, "price": 5}
LEAD = {"name": "L", "email": "l@example.com", "subject": "s", "message": "m"}
BODIES: dict[str, Any] = {
    "create a user": {"email": "new@example.com", "name": "N"},
    "many users": {"ids": ["u"]},
    "change a user": {"name": "V"},
    "change a user's settings": {"theme": "dark"},
    "change a user's address": {"email": "other@example.com"},
    "place an order": {"items": [LINE]},
    "place an order once": {"items": [LINE]},
    "place an order with its stock": {"items": [LINE]},
    "open an account": {"balance": 5},
    "move money once": {"from": "rich", "to": "poor", "amount": 1},
    "change an order's status": {"status": "cancelled", "expectedVersion": 1},
    "open a session": {"userId": "u"},
    "extend a session": {"extendSeconds": 60},
    "take a lead": LEAD,
    "change a lead": {"status": "contacted"},
    "write a review": {"productId": "tea", "rating": 5},
}
KEYED = {"place an order once", "move money once"}
"""Requests that are sent with an Idempotency-Key."""


class Row(NamedTuple):
    """A row of the table of patterns."""

    pattern: str
    route: str
    function: str
    on: str
    calls: str
    units: str
    test: str


ROWS = [
    Row(*[cell.strip().strip("`") for cell in line.strip("|").split("|")])
    for line in PAGE.splitlines()
    if re.match(r"\| .* \| (GET|POST|PUT|PATCH|DELETE) /", line)
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)
def test_a_pattern_makes_the_calls_that_it_says(api: ShopApi, row: Row) -> None:
    user = f"u{ROWS.index(row)}"
    api("POST", "/users", {"userId": user, "email": f"{user}@example.com", "name": "U"})
    ids = {
        "userId": user,
        "orderId": api("POST", f"/users/{user}/orders", {"items": [LINE]}).body["orderId"],
        "sessionId": api("POST", "/sessions", {"userId": user}).body["sessionId"],
        "leadId": api("POST", "/leads", LEAD).body["leadId"],
        "accountId": f"a{ROWS.index(row)}",
    }
    api("POST", f"/users/{user}/reviews", {"productId": "tea", "rating": 5})
    api.stock(tea=10)
    if row.pattern != "open an account":
        ids["accountId"] = "rich"
        api("PUT", "/accounts/rich", {"balance": 100})
        api("PUT", "/accounts/poor", {"balance": 0})
    method, _, target = row.route.partition(" ")
    path, _, query = target.format_map(ids).partition("?")
    key = user if row.pattern in KEYED else None
    answer = api(method, path, BODIES.get(row.pattern), key=key, **dict(parse_qsl(query)))
    assert answer.status < 300, answer.text
    assert api.calls == row.calls.removesuffix(", up to ten").split(", ")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)
def test_a_pattern_s_function_index_and_test_are_there(row: Row) -> None:
    store, _, method = row.function.partition(".")
    assert callable(getattr(STORES[store], method))
    assert row.on in {"", *INDEXES}
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert f"def {row.test}(" in tests
    assert re.fullmatch(r"[\d.]+ [rw](?:( each| and more)|, .*)?", row.units)


def test_every_route_and_every_function_has_a_pattern(api: ShopApi) -> None:
    routes = {f"{one.method} {re.sub('<(.*?)>', '{}', one.path)}" for one in api.api.endpoints}
    assert {re.sub(r"\{.*?\}", "{}", row.route.partition("?")[0]) for row in ROWS} == routes
    functions = {
        f"{name}.{method}"
        for name, store in STORES.items()
        if name.endswith("Store") and store.__module__.startswith("shop.")
        for method in vars(store)
        if not method.startswith("_")
    }
    assert {row.function for row in ROWS} == functions
    assert {row.on for row in ROWS} == {"", *INDEXES}
