"""Each method of a table shows how it is called, and what it shows is so."""

from __future__ import annotations

import doctest
import inspect
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from moto import mock_aws

from tablestream import Deadline, Run
from tablestream.dynamodb import (
    IdempotencyKey,
    IdempotencyKeys,
    Index,
    ItemStore,
    Put,
    Table,
    TransactionCancelled,
    Update,
    VersionConflict,
    idempotency,
    locks,
    table,
)
from tests.support.dynamodb import INDEXED

METHODS = sorted(name for name, _ in inspect.getmembers(Table, inspect.isfunction) if not name.startswith("_"))
NAMES = (Attr, Deadline, Decimal, Index, Key, Put, Run, Table, TransactionCancelled, Update, VersionConflict)


def client_of(*tables: str) -> Any:
    client: Any = boto3.client("dynamodb", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="k")
    for name in tables:
        client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **INDEXED)
    return client


@pytest.mark.parametrize("method", [*METHODS, None])
def test_an_example_is_so(method: str | None) -> None:
    shown = table if method is None else getattr(Table, method)
    with mock_aws():
        client = client_of("orders")
        orders = Table("orders", client, indexes={"byStatus": Index("status", "createdAt")})
        names = {"client": client, "orders": orders, **{name.__name__: name for name in NAMES}}
        (example,) = doctest.DocTestFinder(recurse=False).find(shown, method or "table", globs=names)
        assert example.examples, "wanted an example in its docstring"
        told: list[str] = []
        doctest.DocTestRunner(verbose=False).run(example, out=told.append)
        assert "".join(told) == ""


def test_the_example_of_idempotency_keys_is_so() -> None:
    with mock_aws():
        accounts = Table("accounts", client_of("accounts"))
        for name in ("ann", "bob"):
            accounts.put({"pk": f"ACCOUNT#{name}", "sk": "BALANCE", "balance": 10})
        names = {"accounts": accounts, **{one.__name__: one for one in (Attr, IdempotencyKey, IdempotencyKeys, Update)}}
        (example,) = doctest.DocTestFinder(recurse=False).find(idempotency, "idempotency", globs=names)
        told: list[str] = []
        doctest.DocTestRunner(verbose=False).run(example, out=told.append)
        assert "".join(told) == ""
        assert accounts.get({"pk": "ACCOUNT#bob", "sk": "BALANCE"}, fields=["balance"]) == {"balance": 17}


def test_the_example_of_items_under_a_lock_is_so() -> None:
    with mock_aws():
        names = {"client": client_of("games"), "ItemStore": ItemStore, "Table": Table}
        (example,) = doctest.DocTestFinder(recurse=False).find(locks, "locks", globs=names)
        told: list[str] = []
        doctest.DocTestRunner(verbose=False).run(example, out=told.append)
        assert "".join(told) == ""
