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
from shop.stock.decisions import Tables
from shop.stock.ledger import LedgerEntry, LedgerState
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

        self.ledger: Mapping[str, Any] = {}
        self.taken: dict[str, int] = {}

    def put_item(self, **sent: Any) -> dict[str, Any]:
        self.item = json.loads(json.dumps(sent["Item"]))
        return {}

    def transact_write_items(self, **sent: Any) -> dict[str, Any]:
        ledger, order, *stock = json.loads(json.dumps(sent["TransactItems"]))
        self.ledger, self.item = ledger["Put"]["Item"], order["Put"]["Item"]
        moves = [one["Update"] for one in stock]
        self.taken = {move["Key"]["pk"]["S"]: -int(move["ExpressionAttributeValues"][":a0"]["N"]) for move in moves}
        return {}


@cache
def api() -> tuple[Api, Written]:
    client = Written()
    clock = FakeClock()
    return Api(Tables("orders", "inventory"), client, lambda _: None, clock=clock, makers=Makers(clock.now)), client


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


def accepted(order: Any, query: Mapping[str, str] | None = None, status: int = 202) -> Mapping[str, Any]:
    """Return the item that an order becomes, none where the API refuses it."""
    service, client = api()
    answer = service.answer(request("POST", "/users/ada/orders", Exact().encode(order), query), None)
    assert answer["statusCode"] in {status, 400}, answer
    return client.item if answer["statusCode"] == status else {}


def wanted_of(order: Any) -> dict[str, int]:
    """Return the units of each product that an order wants."""
    wanted: Counter[str] = Counter()
    for line in order["items"]:
        wanted[line["productId"]] += int(plain(line["quantity"]))
    return dict(wanted)


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

    with localcontext() as exact:
        exact.prec = 200
        price = sum([plain(line["quantity"]) * plain(line["price"]) for line in order["items"]])
    reserve, message = effects
    assert isinstance(reserve, Reserve)
    assert isinstance(message, Message)
    assert dict(reserve.lines) == wanted_of(order)
    assert OrderKey.of(change) == (item["pk"]["S"], item["sk"]["S"])
    assert Order.from_image(change.image).total == price


@settings(max_examples=1000)
@given(order=ORDER)
def test_an_order_that_is_reserved_now_is_understood_and_holds_what_it_took(order: Any) -> None:
    item = accepted(order, {"reserve": "now"}, 201)
    assume(item)
    change = Change.from_record(record_of(item))
    client = api()[1]

    (message,) = order_placed(change)  # nothing is left to be reserved

    assert isinstance(message, Message)
    assert json.loads(str(message.body))["status"] == "confirmed"
    entry = LedgerEntry.from_item(client.ledger)
    assert entry.state is LedgerState.RESERVED
    assert dict(entry.lines) == wanted_of(order)
    assert client.taken == {f"PRODUCT#{product}": units for product, units in entry.lines}
    assert client.ledger["pk"]["S"] == f"LEDGER#{OrderKey.of(change).pk}"
    assert client.ledger["sk"]["S"] == OrderKey.of(change).sk
    assert dict(Order.from_image(change.image).lines) == wanted_of(order)


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
