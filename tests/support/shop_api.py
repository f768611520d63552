"""The API of the shop in the embedded AWS of this process: the table as the template makes it, and requests to it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
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

    def __post_init__(self) -> None:
        makers = Makers(self.clock.now, random.Random(7).getrandbits)
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

    def __call__(self, method: str, path: str, body: Any = None, /, text: str | None = None, **query: Any) -> Answered:
        """Send a request; a query parameter that is a word of Python has a _ behind it."""
        written = json.dumps(body) if text is None and body is not None else text
        return self.send(request(method, path, written, {name.rstrip("_"): value for name, value in query.items()}))

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


@cache
def _table() -> dict[str, Any]:
    """Return the table as the template has it."""
    source = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]  # it has no annotations
    properties = source["Resources"]["Table"]["Properties"]
    plain: dict[str, Any] = json.loads(json.dumps({name: properties[name] for name in _OF_A_TABLE}))
    return plain
