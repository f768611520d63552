"""The API of the shop in the embedded AWS of this process: the table as the template makes it, and requests to it."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import pytest
from botocore.session import Session
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from shop.api.service import MARGIN_SECONDS, Api
from shop.stock.decisions import Tables
from shop.stores import Stores
from shop.stores.entity import INDEXES, Makers
from tablestream.dynamodb import Nulls, Table
from tablestream.dynamodb.client import dynamodb_client, settings
from tablestream.local.trigger.moto_quirks import correct_moto
from tablestream.testing import FakeContext
from tablestream.testing.doubles import FakeClock
from tests.support.cloudformation import TEMPLATE
from tests.support.http_requests import request

TABLE, INVENTORY = "orders", "inventory"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
}
_OF_A_TABLE = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "BillingMode")


@dataclass(frozen=True)
class Answered:
    """What the gateway gets."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def fields(self) -> dict[str, str]:
        """The messages of a VALIDATION_ERROR by their fields."""
        assert self.body["code"] == "VALIDATION_ERROR"
        return {detail["field"]: detail["message"] for detail in self.body["details"]}


@dataclass
class ShopApi:
    """The API, and what it does."""

    dynamodb: Any
    clock: FakeClock
    log: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """The operations of the last request."""
    docs: bool = False

    def __post_init__(self) -> None:
        makers = Makers(self.clock.now, random.Random(7).getrandbits)
        tables = Tables(TABLE, INVENTORY)
        self.api = Api(tables, self.dynamodb, self.log.append, docs=self.docs, clock=self.clock, makers=makers)
        self.dynamodb.meta.events.register("before-call.dynamodb", self._called)

    def _called(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)

    def send(self, event: Mapping[str, Any], timeout: float = 10.0) -> Answered:
        self.calls.clear()
        self.clock.sleep(0.001)
        answer = self.api.answer(event, FakeContext(timeout, self.clock))  # type: ignore[arg-type]
        assert answer["isBase64Encoded"] is False
        return Answered(answer["statusCode"], answer["headers"], answer["body"])

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        text: str | None = None,
        key: str | None = None,
        **query: Any,
    ) -> Answered:
        """Send a request; a query parameter that is a word of Python has a _ behind it. `key`: its Idempotency-Key."""
        written = json.dumps(body) if text is None and body is not None else text
        headers = {} if key is None else {"idempotency-key": key}
        given = {name.rstrip("_"): value for name, value in query.items()}
        return self.send(request(method, path, written, given, **headers))

    @contextmanager
    def before(self, operation: str, act: Callable[[], object]) -> Iterator[None]:
        """Within the with block do something right before the first call of an operation, as another caller would."""
        waiting = [act]

        def called(model: Any, **_: Any) -> None:
            if model.name == operation and waiting:
                waiting.pop()()

        self.dynamodb.meta.events.register("before-call.dynamodb", called)
        try:
            yield
        finally:
            self.dynamodb.meta.events.unregister("before-call.dynamodb", called)

    def items(self, table: str = TABLE) -> list[dict[str, Any]]:
        return list(self.dynamodb.scan(TableName=table)["Items"])

    def stock(self, **units: int) -> None:
        """Let there be so many units of products."""
        for product, available in units.items():
            self.dynamodb.put_item(TableName=INVENTORY, Item=stock_item(product, available))

    def available(self, product: str) -> int:
        key = {"pk": {"S": f"PRODUCT#{product}"}, "sk": {"S": "STOCK"}}
        return int(self.dynamodb.get_item(TableName=INVENTORY, Key=key)["Item"]["available"]["N"])


@contextmanager
def shop_api(*, docs: bool = False) -> Iterator[ShopApi]:
    """Create the shop's table, empty, and hand out the API."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        correct_moto()
        client: Any = dynamodb_client(Session(), settings(MARGIN_SECONDS, 1))
        create_tables(client)
        yield ShopApi(client, FakeClock(), docs=docs)


class LocalTables(NamedTuple):
    """The shop's tables in a DynamoDB Local: a client, and what makes stores, for a thread each."""

    dynamodb: Any
    stores: Callable[[], Stores]


@contextmanager
def shop_stores(endpoint: str) -> Iterator[LocalTables]:
    """Create the shop's tables in a DynamoDB Local.

    Not the API: Powertools has one request under way in a process, as Lambda has.
    """
    options: dict[str, Any] = {"endpoint_url": endpoint, "region_name": "eu-central-1"}
    options |= {"aws_access_key_id": uuid.uuid4().hex[:16], "aws_secret_access_key": "none"}  # tables of its own

    def client() -> Any:
        return Session().create_client("dynamodb", config=settings(MARGIN_SECONDS, 1), **options)

    def made() -> Stores:
        table = Table(TABLE, client(), indexes=INDEXES, nulls=Nulls.KEEP)
        return Stores.of(table, INVENTORY, Makers(time.time))

    creator = client()
    create_tables(creator)
    try:
        yield LocalTables(creator, made)
    finally:
        for table in (TABLE, INVENTORY):
            creator.delete_table(TableName=table)


def stock_item(product: str, available: int) -> dict[str, Any]:
    """Return a stock item as the inventory has it."""
    return {"pk": {"S": f"PRODUCT#{product}"}, "sk": {"S": "STOCK"}, "available": {"N": str(available)}}


def create_tables(client: Any) -> None:
    """Create the shop's table and the inventory, as the template has them."""
    for name, logical_id in ((TABLE, "Table"), (INVENTORY, "InventoryTable")):
        client.create_table(TableName=name, **_table(logical_id))


@cache
def _table(logical_id: str) -> dict[str, Any]:
    source = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]  # it has no annotations
    properties = source["Resources"][logical_id]["Properties"]
    plain: dict[str, Any] = json.loads(
        json.dumps({name: properties[name] for name in _OF_A_TABLE if name in properties})
    )
    return plain
