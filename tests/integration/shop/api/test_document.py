"""The OpenAPI document: what it says of answers is what the API answers, and no request makes it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openapi_spec_validator import validate

from shop.api import service
from shop.api.openapi import document, tidied
from shop.api.service import Api
from shop.stock.decisions import Tables
from tests.support.cloudformation import ROOT
from tests.support.shop_api import Answered, ShopApi


@cache
def described() -> Any:
    return json.loads(document(Api(Tables("table", "inventory"), SimpleNamespace(get_item=None), lambda _: None)))


@pytest.fixture(scope="module")
def with_docs(api: ShopApi) -> ShopApi:
    return ShopApi(api.dynamodb, api.clock, docs=True)


def conforms(answer: Answered, method: str, path: str) -> None:
    """Assert that the document has the answer's status for the route, and that the answer is as it says."""
    responses = described()["paths"][path][method.lower()]["responses"]
    schema = responses[str(answer.status)]["content"]["application/json"]["schema"]
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "components": described()["components"],
    }
    importlib.import_module("jsonschema").validators.validator_for(whole)(whole).validate(answer.body)


def test_the_document_is_openapi_3_1() -> None:
    validate(described())
    assert described()["openapi"] == "3.1.0"
    names = [operation["operationId"] for methods in described()["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names) == 29


@pytest.mark.parametrize("entity", ["User", "Order", "Session", "Lead", "Review"])
def test_what_a_body_sets_the_answer_shows(entity: str) -> None:
    schemas = described()["components"]["schemas"]
    assert {*schemas[f"{entity}Body"]["properties"]} - {"ttl"} <= {*schemas[entity]["properties"]}


def test_a_property_may_be_called_as_an_annotation_of_pydantic() -> None:
    properties = {"title": {"title": "Title", "type": "string"}, "default": {"title": "Default", "default": 1.0}}
    told = tidied({"title": "Body", "default": None, "properties": properties}, "default")
    assert told == {"properties": {"title": {"type": "string"}, "default": {}}}


def test_every_answer_is_as_the_document_says(api: ShopApi) -> None:
    line = {"productId": "tea", "quantity": 2, "price": 4.5, "name": "Tea"}
    user = {"userId": "u", "email": "u@example.com", "name": "U", "profile": {}, "settings": {}, "tags": ["x"]}
    lead = {"name": "L", "email": "l@example.com", "subject": "s", "message": "m", "company": "c"}
    order, session = "/users/{userId}/orders/{orderId}", "/sessions/{sessionId}"
    made: dict[str, str] = {"userId": "u", "accountId": "a", "other": "b"}
    transfer = {"from": "a", "to": "b", "amount": 1}
    steps: list[tuple[str, str, Any, dict[str, Any], int]] = [
        ("POST", "/users", user, {}, 201),
        ("POST", "/users", user, {}, 409),
        ("GET", "/users", None, {"email": "u@example.com"}, 200),
        ("PATCH", "/users/{userId}", {"name": "V", "expectedVersion": 9}, {}, 409),
        ("PATCH", "/users/{userId}", {"name": "V"}, {}, 200),
        ("PUT", "/users/{userId}/settings", {"a": {"b": 1}}, {}, 200),
        ("PUT", "/users/{userId}/settings", None, {}, 400),
        ("POST", "/users/batch-get", {"ids": ["u", "v"]}, {}, 200),
        ("POST", "/users/{userId}/views", None, {}, 200),
        ("POST", "/users/{userId}/orders", {"items": [line]}, {"reserve": "now"}, 409),
        ("POST", "/users/{userId}/orders", {"items": [{**line, "productId": "cup"}]}, {"reserve": "now"}, 201),
        ("POST", "/users/{userId}/orders", {"items": [line], "shippingAddress": {"a": 1}}, {}, 202),
        ("POST", "/users/{userId}/orders", {"items": [line], "ttl": "x"}, {}, 400),
        ("POST", "/users/{userId}/orders", {"items": [line]}, {"key": "k"}, 202),
        ("POST", "/users/{userId}/orders", {"items": [line, line]}, {"key": "k"}, 422),
        ("PUT", "/accounts/{accountId}", {"balance": 5}, {}, 201),
        ("PUT", "/accounts/{accountId}", {"balance": 5}, {}, 409),
        ("POST", "/transfers", transfer, {"key": "k"}, 404),
        ("POST", "/transfers", {**transfer, "amount": 6}, {"key": "k"}, 409),
        ("PUT", "/accounts/{other}", {"balance": 0}, {}, 201),
        ("POST", "/transfers", transfer, {"key": "k"}, 201),
        ("POST", "/transfers", transfer, {"key": "k"}, 200),
        ("POST", "/transfers", {**transfer, "amount": 2}, {"key": "k"}, 422),
        ("GET", "/accounts/{accountId}", None, {}, 200),
        ("GET", "/users/{userId}", None, {"include": "orders"}, 200),
        ("GET", "/users/{userId}", None, {"fields": "name"}, 200),
        ("GET", "/users/{userId}/orders", None, {"limit": 1}, 200),
        ("GET", "/users/{userId}/orders", None, {"cursor": "x"}, 400),
        ("GET", "/orders", None, {"status": "pending"}, 200),
        ("GET", "/orders/{orderId}", None, {}, 200),
        ("GET", order, None, {}, 200),
        ("PATCH", order, {"status": "shipped", "expectedVersion": 1}, {}, 409),
        ("PATCH", order, {"status": "cancelled", "expectedVersion": 1}, {}, 200),
        ("DELETE", order, None, {}, 200),
        ("DELETE", order, None, {}, 404),
        ("POST", "/users/{userId}/reviews", {"productId": "tea", "rating": 5, "text": "!"}, {}, 201),
        ("GET", "/users/{userId}/reviews", None, {}, 200),
        ("POST", "/sessions", {"userId": "u", "data": {}}, {}, 201),
        ("GET", session, None, {}, 200),
        ("PATCH", session, {"extendSeconds": 5}, {}, 200),
        ("DELETE", session, None, {}, 200),
        ("POST", "/leads", lead, {}, 201),
        ("GET", "/leads", None, {"status": "new"}, 200),
        ("GET", "/leads/{leadId}", None, {}, 200),
        ("PATCH", "/leads/{leadId}", {"company": None}, {}, 200),
        ("DELETE", "/leads/{leadId}", None, {}, 200),
        ("DELETE", "/users/{userId}", None, {"email": "x@example.com"}, 409),
        ("DELETE", "/users/{userId}", None, {}, 200),
    ]
    api.stock(cup=2)
    for method, path, body, query, status in steps:
        answer = api(method, path.format_map(made), body, **query)
        assert answer.status == status, f"{method} {path}: {answer.text}"
        conforms(answer, method, path.replace("{other}", "{accountId}"))
        ids = answer.body if answer.status in {201, 202} else {}
        made |= {name: value for name, value in ids.items() if name in {"orderId", "sessionId", "leadId"}}
    routes = {(method, path.replace("{other}", "{accountId}")) for method, path, *_ in steps}
    assert routes == {(method.upper(), path) for path, methods in described()["paths"].items() for method in methods}


def test_docs_are_served_where_they_are_wanted(with_docs: ShopApi) -> None:
    assert with_docs("GET", "/openapi.json").body == described()
    page = with_docs("GET", "/docs")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "SwaggerUIBundle" in page.text
    assert with_docs.log[-1]["route"] == "GET /docs"


def test_a_document_that_was_made_with_the_package_is_served(
    with_docs: ShopApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "openapi.json"
    subprocess.run([sys.executable, "-m", "shop.api", str(made)], cwd=ROOT / "src", check=True)
    assert json.loads(made.read_text("utf-8")) == described()
    made.write_text('{"made": "before"}', encoding="utf-8")
    monkeypatch.setattr(service, "DOCUMENT", made)
    assert with_docs("GET", "/openapi.json").body == {"made": "before"}


IN_A_PROCESS_OF_ITS_OWN = """
import sys
from tests.support.http_requests import request
from tablestream.testing import FakeContext
from shop.api.app import handler

for method, path, body in (
    ("GET", "/users/a b", None), ("POST", "/users", "{}"), ("GET", "/orders", None), ("PUT", "/users", None)
):
    assert handler(request(method, path, body), FakeContext(10))["statusCode"] < 500
print([name for name in sys.modules if name.endswith(("openapi.models", "shop.api.openapi", "utilities.parser"))])
"""


def test_no_request_makes_the_document() -> None:
    """Its modules take 60 ms of a cold start."""
    tables = {"TABLE_NAME": "orders", "INVENTORY_TABLE": "inventory"}
    variables = {
        **tables,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
    }
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
