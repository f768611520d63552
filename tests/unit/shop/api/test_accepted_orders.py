"""Every order that the API accepts is understood by the worker: it is reserved as it was ordered, never poison."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shop.api.service import Api
from shop.handlers import order_placed, order_removed, status_changed
from shop.orders import Order, OrderKey
from shop.stock import Reserve
from shop.stores.entity import Makers
from tablestream.change import Change
from tablestream.sinks import Message
from tablestream.testing import Record, inserted
from tablestream.testing.doubles import FakeClock
from tests.support.http_requests import request


class Written:
    """A client of DynamoDB that takes what is put, as it would be sent."""

    def __init__(self) -> None:
        self.item: Mapping[str, Any] = {}

    def put_item(self, **sent: Any) -> dict[str, Any]:
        self.item = json.loads(json.dumps(sent["Item"]))
        return {}


@cache
def api() -> tuple[Api, Written]:
    client = Written()
    clock = FakeClock()
    return Api("orders", client, lambda _: None, clock=clock, makers=Makers(clock.now)), client


class Exact(json.JSONEncoder):
    """Writes numbers that are given as text within ⟨ and ⟩ as they are."""

    def encode(self, o: Any) -> str:
        return super().encode(o).replace('"\\u27e8', "").replace('\\u27e9"', "")


def number(text: str) -> str:
    return f"⟨{text}⟩"


def plain(number: str) -> Decimal:
    return Decimal(number.strip("⟨⟩"))


# Few values are refused, so that most orders are taken and every rule is met.
TEXT = st.one_of(st.text(min_size=1, max_size=8), st.sampled_from(["tea", "ä", "\x00", "#", "😀", "NaN"]))
PRODUCT = st.one_of(
    TEXT, TEXT, st.sampled_from([*["x" * 2040, "ä" * 1020, "😀", "x y"] * 5, "x" * 2041, "", "ä" * 1021])
)
QUANTITY = st.one_of(
    st.integers(1, 9).map(str),
    st.sampled_from([*["1000000", "1e6", "5.0", "5e0", "0.5e1", "50E-1"] * 10, "0", "1000001", "1.5", "null", '"1"']),
).map(number)
PRICE = st.one_of(
    st.decimals(0, 10_000, places=2).map(str),
    st.sampled_from([*["0", "-0.0", "1e-130", "1E30", "1234567890123456789012345678.12", "0.10"] * 10, "-1", "1e400"]),
).map(number)
LINE = st.fixed_dictionaries(
    {"productId": PRODUCT, "quantity": QUANTITY, "price": PRICE}, optional={"name": st.one_of(TEXT, st.none())}
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), TEXT, st.integers(-(10**37), 10**37), PRICE),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
ORDER = st.fixed_dictionaries(
    {"items": st.lists(LINE, min_size=1, max_size=4)},
    optional={
        "shippingAddress": st.one_of(st.dictionaries(TEXT, ANYTHING, max_size=3), st.none()),
        "ttl": st.sampled_from([1, 2_000_000_000, 10**11 - 1, number("2e9")]),
    },
)


def accepted(order: Any) -> Mapping[str, Any]:
    """Return the item that an order becomes, none where the API refuses it."""
    service, client = api()
    answer = service.answer(request("POST", "/users/ada/orders", Exact().encode(order)), None)
    assert answer["statusCode"] in {202, 400}, answer
    return client.item if answer["statusCode"] == 202 else {}


def record_of(item: Mapping[str, Any]) -> Record:
    """Return the record that the stream has of an item that was put."""
    record = inserted({"pk": "USER#x", "sk": "ORDER#x"})
    record["dynamodb"]["Keys"] = {name: item[name] for name in ("pk", "sk")}
    record["dynamodb"]["NewImage"] = dict(item)
    return record


@settings(max_examples=1000)
@given(order=ORDER)
def test_an_accepted_order_is_understood(order: Any) -> None:
    item = accepted(order)
    assume(item)
    change = Change.from_record(record_of(item))

    effects = order_placed(change)

    lines = [(line["productId"], *map(plain, (line["quantity"], line["price"]))) for line in order["items"]]
    wanted: Counter[str] = Counter()
    with localcontext() as exact:
        exact.prec = 200
        for product, quantity, _ in lines:
            wanted[product] += int(quantity)
        price = sum([quantity * price for _, quantity, price in lines])
    reserve, message = effects
    assert isinstance(reserve, Reserve)
    assert isinstance(message, Message)
    assert dict(reserve.lines) == wanted
    assert OrderKey.of(change) == (item["pk"]["S"], item["sk"]["S"])
    assert Order.from_image(change.image).total == price


def test_what_becomes_of_an_accepted_order_is_understood() -> None:
    line = {"productId": "tea", "quantity": 2, "price": 4.5}
    item = accepted({"items": [line], "shippingAddress": {"none": None}})
    new = {**item, "status": {"S": "cancelled"}, "version": {"N": "2"}}
    record = record_of(item)
    modified: Any = {
        **record,
        "eventName": "MODIFY",
        "dynamodb": {**record["dynamodb"], "OldImage": item, "NewImage": new},
    }
    removed: Any = {**record, "eventName": "REMOVE", "dynamodb": {**record["dynamodb"], "OldImage": new}}
    del removed["dynamodb"]["NewImage"]
    assert len(status_changed(Change.from_record(modified))) == 2
    assert len(order_removed(Change.from_record(removed))) == 2
