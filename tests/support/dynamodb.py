"""Three DynamoDBs: that of the test kit, moto, and the DynamoDB Local that DYNAMODB_LOCAL_ENDPOINT names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from tablestream.testing.dynamodb import MemoryDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BACKENDS = ("memory", "moto", "dynamodb-local")
ENDPOINT = os.environ.get("DYNAMODB_LOCAL_ENDPOINT", "")


@contextmanager
def table_in(backend: str, keys: Sequence[str]) -> Iterator[tuple[Any, str]]:
    """Create a table with these text keys; hand out a client and the table's name, and take the table away again."""
    if backend == "memory":
        memory = MemoryDynamoDB()
        memory.create("contract", *keys)
        yield memory, "contract"
        return
    if backend == "moto":
        with mock_aws():
            client = _client(None)
            create_table(client, "contract", keys)
            yield client, "contract"
        return
    if not ENDPOINT:
        pytest.skip("DYNAMODB_LOCAL_ENDPOINT names no DynamoDB Local")
    client, name = _client(ENDPOINT), f"contract-{uuid.uuid4().hex}"
    create_table(client, name, keys)
    try:
        yield client, name
    finally:
        client.delete_table(TableName=name)


INDEXED: Mapping[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in {"pk": "S", "sk": "S", "status": "S", "createdAt": "S", "rank": "N"}.items()
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "byStatus",
            "KeySchema": [
                {"AttributeName": "status", "KeyType": "HASH"},
                {"AttributeName": "createdAt", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": "byRank",
            "KeySchema": [
                {"AttributeName": "status", "KeyType": "HASH"},
                {"AttributeName": "rank", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "byCreation",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "createdAt", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}
"""A table with two global indexes and a local one, for what is found by pages."""


@contextmanager
def client_in(backend: str) -> Iterator[Any]:
    """Hand out a client of moto or of DynamoDB Local."""
    if backend == "dynamodb-local" and not ENDPOINT:
        pytest.skip("DYNAMODB_LOCAL_ENDPOINT names no DynamoDB Local")
    with mock_aws() if backend == "moto" else nullcontext():
        yield _client(None if backend == "moto" else ENDPOINT)


@contextmanager
def indexed_table(client: Any) -> Iterator[str]:
    """Create a table with indexes; hand out its name, and take it away again."""
    name = f"contract-{uuid.uuid4().hex}"
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **INDEXED)
    try:
        yield name
    finally:
        client.delete_table(TableName=name)


def create_table(client: Any, table: str, keys: Sequence[str]) -> None:
    """Create a table with one or two keys of type text."""
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        BillingMode="PAY_PER_REQUEST",
    )


def _client(endpoint: str | None) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="contract",
        aws_secret_access_key="contract",
        config=Config(account_id_endpoint_mode="disabled", retries={"total_max_attempts": 1}),
    )
