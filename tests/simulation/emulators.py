"""Other people's DynamoDB, with the tables of the simulation: moto in this process, or AWS's DynamoDB Local.

The environment variable DYNAMODB_LOCAL_ENDPOINT says where a DynamoDB Local answers. Nothing else does: whatever else
listens on this machine is not ours to write to.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from tablestream.testing.dynamodb import MemoryDynamoDB
from tests.simulation.aws import INVENTORY, JOURNAL, Aws
from tests.simulation.stream import TABLE
from tests.support.dynamodb import create_table

DYNAMODB_LOCAL = os.environ.get("DYNAMODB_LOCAL_ENDPOINT", "")
REGION = "eu-central-1"
# The worker's clients do not check parameters either.
PLAIN = Config(parameter_validation=False, retries={"total_max_attempts": 1, "mode": "standard"})
_KEYS = {INVENTORY: ("pk", "sk"), TABLE: ("pk", "sk"), JOURNAL: ("pk",)}
_UNASKED = {"ResponseMetadata", "ConsumedCapacity"}


def emulators() -> Sequence[str]:
    """Return the names of those that can be had."""
    return ["moto", "DynamoDB Local"] if DYNAMODB_LOCAL else ["moto"]


@contextmanager
def emulated(name: str) -> Iterator[Any]:
    """Hand out a client of an emulator whose tables are empty."""
    if name == "moto":
        with mock_aws():
            dynamodb: Any = boto3.client("dynamodb", REGION, config=PLAIN)
            _create_tables(dynamodb)
            yield dynamodb
        return
    dynamodb = boto3.client(
        "dynamodb",
        REGION,
        config=PLAIN,
        endpoint_url=DYNAMODB_LOCAL,
        # Each key has tables of its own there.
        aws_access_key_id=uuid.uuid4().hex[:20],
        aws_secret_access_key="testing",
    )
    _create_tables(dynamodb)
    try:
        yield dynamodb
    finally:
        for table in _KEYS:
            dynamodb.delete_table(TableName=table)


def _create_tables(dynamodb: Any) -> None:
    for table, names in _KEYS.items():
        create_table(dynamodb, table, names)


def empty(dynamodb: Any) -> None:
    """Remove every item of an emulator."""
    for table, names in _KEYS.items():
        for found in dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]:
            dynamodb.delete_item(TableName=table, Key={name: found[name] for name in names})


def outcome(call: Callable[..., Mapping[str, Any]], request: Mapping[str, Any]) -> object:
    """Return what a caller can tell: the answer, or the error with its reasons; not the wording."""
    try:
        answer = dict(call(**request))
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", ())
        told: list[Any] = [(reason.get("Code"), reason.get("Item") or None) for reason in reasons]
        return error.response["Error"]["Code"], told, error.response.get("Item")
    if "Responses" in answer:  # in any order
        answer["Responses"] = {table: sorted(items, key=_text) for table, items in answer["Responses"].items()}
    return {name: value for name, value in answer.items() if value and name not in _UNASKED}


def _text(item: Mapping[str, Any]) -> str:
    return json.dumps(item, sort_keys=True, default=repr)


@dataclass
class Compared:
    """The AWS in memory, whose DynamoDB is watched: each call is made to an emulator too, and has the same outcome."""

    aws: Aws
    emulator: Any
    calls: int = 0
    largest: int = 0
    """The most actions that a transaction had."""
    shown: int = 0
    """Items that the reasons of cancelled transactions have shown."""
    _calling: bool = False

    @property
    def dynamodb(self) -> Any:
        """The client; Any, as it stands in for boto3's generated one."""
        return _ComparedClient(self)

    def wrote(self, keys: Mapping[str, Any], new: Mapping[str, Any] | None, table: str = TABLE) -> None:
        """Learn of a write past the client, as the shop's customers make it; of the client's own it knows."""
        if self._calling:
            return
        if new is None:
            self.emulator.delete_item(TableName=table, Key=dict(keys))
        else:
            self.emulator.put_item(TableName=table, Item=dict(new))

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        self.largest = max(self.largest, len(request.get("TransactItems", ())))
        self._calling = True
        answers: list[Any] = []

        def ours(**given: Any) -> dict[str, Any]:
            try:
                answers.append(getattr(self.aws.dynamodb, operation)(**given))
            except ClientError as error:
                answers.append(error)
                raise
            answer: dict[str, Any] = answers[0]
            return answer

        one, other = outcome(ours, request), outcome(getattr(self.emulator, operation), request)
        self._calling = False
        assert one == other, operation
        if isinstance(answers[0], ClientError):
            reasons = answers[0].response.get("CancellationReasons", ())
            self.shown += sum("Item" in reason for reason in reasons)
            raise answers[0]
        answer: dict[str, Any] = answers[0]
        return answer

    def same_items(self) -> bool:
        """Tell whether both have the same items."""
        return all(same_items(self.aws.dynamodb, self.emulator, table) for table in _KEYS)


@dataclass(frozen=True)
class _ComparedClient:
    compared: Compared

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        return lambda **request: self.compared.call(operation, request)


def same_items(ours: MemoryDynamoDB, emulator: Any, table: str) -> bool:
    """Tell whether a table has the same items in memory and in an emulator."""
    pages = emulator.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    theirs = [found for page in pages for found in page["Items"]]
    return sorted(ours.tables[table].items.values(), key=_text) == sorted(theirs, key=_text)
