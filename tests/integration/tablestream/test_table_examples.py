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
from tablestream.dynamodb import Index, Put, Table, TransactionCancelled, Update, VersionConflict, table
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
