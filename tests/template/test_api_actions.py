"""What the HTTP function's code asks of the table is what its role may do and what its package can call."""

from __future__ import annotations

import ast
import runpy
from typing import Any

import pytest

from shop.orders import OrderKey, OrderLine
from shop.stock.decisions import Decider, Tables
from shop.stores.entity import INDEXES
from tablestream.dynamodb.transactions import build
from tests.support.cloudformation import ROOT, translated
from tests.template.actions import IN_TRANSACTION, role_statements

SHOP = ROOT / "src" / "shop"
METHODS = {
    "get": "GetItem",
    "put": "PutItem",
    "update": "UpdateItem",
    "delete": "DeleteItem",
    "query": "Query",
    "items": "Query",
    "scan": "Scan",
    "scan_items": "Scan",
    "batch_get": "BatchGetItem",
    "batch_write": "BatchWriteItem",
    "transact_get": "TransactGetItems",
    "transact_write": "TransactWriteItems",
    "lock": "GetItem",
    "read": "TransactGetItems",
    "set_atomic": "TransactWriteItems",
}
"""The operations of DynamoDB behind the methods of `tablestream.dynamodb.Table`, and of an `ItemStore` under a lock."""
PERMITTED_BY = {
    "BatchWriteItem": {"dynamodb:BatchWriteItem"},
    "TransactGetItems": {"dynamodb:GetItem"},
    "TransactWriteItems": set[str](),
}
"""Where the action that permits an operation is not the operation's own."""
IN_ACTION = {"Put": "Put", "Update": "Update", "Delete": "Delete", "Check": "ConditionCheck"}
"""The entries of a transaction by the values that ask for them."""


def trees() -> list[ast.Module]:
    files = [*(SHOP / "stores").rglob("*.py"), *(SHOP / "api").rglob("*.py")]
    assert files
    return [ast.parse(file.read_text(encoding="utf-8")) for file in files]


def operations(code: list[ast.Module]) -> set[str]:
    """The operations behind the methods that are called of a table, or of what is locked in one, as it is named."""
    called = {
        node.func.attr
        for tree in code
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value).rpartition(".")[2] in {"table", "_table", "_locked"}
    }
    return {METHODS[name] for name in called if name in METHODS}


def actions(code: list[ast.Module]) -> set[str]:
    """The IAM actions that these operations, and the entries of transactions, are permitted by."""
    needed = set().union(*(PERMITTED_BY.get(one, {f"dynamodb:{one}"}) for one in operations(code)))
    made = {
        node.func.id
        for tree in code
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return needed | {IN_TRANSACTION[IN_ACTION[name]] for name in made & IN_ACTION.keys()}


@pytest.fixture
def granted() -> dict[str, dict[str, Any]]:
    return dict(role_statements(translated()["Resources"], "ApiRole"))


def test_the_role_may_do_what_the_routes_need_and_nothing_else(granted: dict[str, dict[str, Any]]) -> None:
    assert set(granted["KeepItems"]["Action"]) == actions(trees())


def test_the_role_may_do_to_the_inventory_what_an_order_with_its_stock_does(granted: dict[str, dict[str, Any]]) -> None:
    order, lines = OrderKey("USER#u", "ORDER#o"), (OrderLine("tea", 1),)
    entries, _ = build([Decider(Tables("orders", "inventory"), 0).place(order, {}, lines, "id")])
    made = {(request["TableName"], IN_TRANSACTION[kind]) for entry in entries for kind, request in entry.items()}
    assert set(granted["ReserveStock"]["Action"]) == {action for table, action in made if table == "inventory"}
    assert {action for table, action in made if table == "orders"} <= set(granted["KeepItems"]["Action"])


def test_the_role_may_query_the_indexes_that_the_stores_know(granted: dict[str, dict[str, Any]]) -> None:
    named = {each["Fn::Sub"].rpartition("/")[2] for each in granted["FindItems"]["Resource"]}
    assert named == set(INDEXES)


def test_the_package_can_call_what_the_routes_need() -> None:
    kept = runpy.run_path(str(SHOP.parent / "trim_botocore.py"))["CALLED"]["Api"]
    assert kept == {"dynamodb": operations(trees())}


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("self._table.scan()", "dynamodb:Scan"),
        ("table.batch_write(puts=[])", "dynamodb:BatchWriteItem"),
    ],
)
def test_a_call_that_nobody_granted_is_found(code: str, action: str, granted: dict[str, dict[str, Any]]) -> None:
    assert actions([*trees(), ast.parse(code)]) - set(granted["KeepItems"]["Action"]) == {action}
