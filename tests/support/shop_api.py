"""The API of the shop in the embedded AWS of this process: the table as the template makes it, and requests to it."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from botocore.session import Session
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from shop.api.service import MARGIN_SECONDS, Api
from shop.stores.entity import Makers
from tablestream.dynamodb.client import dynamodb_client, settings
from tablestream.local.trigger.moto_quirks import correct_moto
from tablestream.testing import FakeContext
from tablestream.testing.doubles import FakeClock
from tests.support.cloudformation import TEMPLATE
from tests.support.http_requests import request

TABLE = "orders"
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
    seed: int = 7

    def __post_init__(self) -> None:
        makers = Makers(self.clock.now, random.Random(self.seed).getrandbits)
        self.api = Api(TABLE, self.dynamodb, self.log.append, docs=self.docs, clock=self.clock, makers=makers)
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

    def items(self) -> list[dict[str, Any]]:
        return list(self.dynamodb.scan(TableName=TABLE)["Items"])


@contextmanager
def shop_api(*, docs: bool = False) -> Iterator[ShopApi]:
    """Create the shop's table, empty, and hand out the API."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        correct_moto()
        client: Any = dynamodb_client(Session(), settings(MARGIN_SECONDS, 1))
        client.create_table(TableName=TABLE, **_table())
        yield ShopApi(client, FakeClock(), docs=docs)


@contextmanager
def shop_apis(endpoint: str) -> Iterator[Callable[[], ShopApi]]:
    """Create the shop's table in a DynamoDB Local; hand out what makes an API with a client and a clock of its own.

    Each is for one thread; the ids that they make differ.
    """
    options: dict[str, Any] = {"endpoint_url": endpoint, "region_name": "eu-central-1"}
    options |= {"aws_access_key_id": uuid.uuid4().hex[:16], "aws_secret_access_key": "none"}  # tables of its own

    def made() -> ShopApi:
        client = Session().create_client("dynamodb", config=settings(MARGIN_SECONDS, 1), **options)
        return ShopApi(client, FakeClock(), seed=next(seeds))

    seeds = itertools.count()
    first = made()
    first.dynamodb.create_table(TableName=TABLE, **_table())
    try:
        yield made
    finally:
        first.dynamodb.delete_table(TableName=TABLE)


@cache
def _table() -> dict[str, Any]:
    """Return the table as the template has it."""
    source = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]  # it has no annotations
    properties = source["Resources"]["Table"]["Properties"]
    plain: dict[str, Any] = json.loads(json.dumps({name: properties[name] for name in _OF_A_TABLE}))
    return plain
