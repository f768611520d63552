"""Orders with reserve=now: order, ledger and stock in one call, as the worker decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.shop_api import INVENTORY, Answered, ShopApi, stock_item


def line(product: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"productId": product, "quantity": quantity, "price": 2, **more}


def placed(api: ShopApi, *lines: Mapping[str, Any], user: str = "ada", key: str | None = None) -> Answered:
    return api("POST", f"/users/{user}/orders", {"items": lines}, key=key, reserve="now")


def ledger(api: ShopApi, user: str) -> list[dict[str, Any]]:
    return [item for item in api.items(INVENTORY) if item["pk"]["S"] == f"LEDGER#USER#{user}"]


def test_an_order_is_reserved_as_it_is_placed(api: ShopApi) -> None:
    api.stock(tea=5, cup=1)
    answer = placed(api, line("tea", 2), line("cup"), line("tea", 3))
    assert (answer.status, api.calls) == (201, ["TransactWriteItems"])
    order = answer.body
    assert (order["status"], order["version"], order["total"]) == ("confirmed", 1, 12)
    assert api("GET", f"/users/ada/orders/{order['orderId']}").body == order
    assert (api.available("tea"), api.available("cup")) == (0, 0)
    (entry,) = ledger(api, "ada")
    assert entry["sk"] == {"S": f"ORDER#{order['orderId']}"}
    assert (entry["state"], entry["decidedAt"]) == ({"S": "RESERVED"}, {"S": order["createdAt"]})
    assert entry["lines"] == {"M": {"tea": {"N": "5"}, "cup": {"N": "1"}}}


def test_what_there_is_too_little_of_is_told_and_nothing_is_taken(api: ShopApi) -> None:
    api.stock(pot=4, cup=9)
    before = api.items(), api.items(INVENTORY)
    answer = placed(api, line("pot", 3), line("cup", 9), line("hat", 2), line("pot", 2), user="bob", key="k")
    assert (answer.status, answer.code, api.calls) == (409, "INSUFFICIENT_INVENTORY", ["TransactWriteItems"])
    assert answer.body["products"] == [
        {"productId": "pot", "wanted": 5, "available": 4},
        {"productId": "hat", "wanted": 2, "available": 0},
    ]
    assert (api.items(), api.items(INVENTORY)) == before
    api.stock(pot=5, hat=2)
    assert placed(api, line("pot", 5), line("hat", 2), user="bob", key="k").status == 201  # it was not remembered


def test_a_product_without_a_number_of_units_has_none(api: ShopApi) -> None:
    empty = stock_item("new", 0)
    del empty["available"]
    api.dynamodb.put_item(TableName=INVENTORY, Item=empty)
    answer = placed(api, line("new"))
    assert answer.body["products"] == [{"productId": "new", "wanted": 1, "available": 0}]


def test_a_stock_item_that_says_no_number_is_no_fault_of_the_customer(api: ShopApi) -> None:
    api.dynamodb.put_item(TableName=INVENTORY, Item={**stock_item("broken", 0), "available": {"N": "0.5"}})
    answer = placed(api, line("broken"), user="cy")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert api.log[-1]["failure"] == "StockItemError"
    assert ledger(api, "cy") == []


def test_a_key_reserves_once(api: ShopApi) -> None:
    api.stock(tea=10)
    first = placed(api, line("tea", 4), user="dora", key="k")
    again = placed(api, line("tea", 4), user="dora", key="k")
    assert (again.status, again.body, api.calls) == (201, first.body, ["TransactWriteItems"])
    assert api.available("tea") == 6
    assert placed(api, line("tea", 5), user="dora", key="k").code == "IDEMPOTENCY_KEY_REUSED"
    api.stock(tea=0)
    assert placed(api, line("tea", 4), user="dora", key="k").body == first.body
    pending = api("POST", "/users/dora/orders", {"items": [line("tea", 4)]}, key="k")
    assert (pending.status, pending.body["status"]) == (202, "pending")  # a key of the other mode
    assert pending.body["orderId"] != first.body["orderId"]


@pytest.mark.parametrize("value", ["later", "", "NOW", "true", "now,now"])
def test_reserve_has_one_value(api: ShopApi, value: str) -> None:
    answer = api("POST", "/users/eve/orders", {"items": [line("tea")]}, reserve=value)
    assert (list(answer.fields), api.calls) == (["reserve"], [])


def test_a_transaction_has_room_for_98_products_or_97_and_a_key(api: ShopApi) -> None:
    products = [f"p{number}" for number in range(98)]
    api.stock(**dict.fromkeys(products, 2))
    lines = [line(product) for product in products]
    told = {"items": "wanted at most 97 products with an Idempotency-Key and reserve=now, got 98"}
    assert placed(api, *lines, user="fay", key="k").fields == told
    assert api.calls == []
    assert placed(api, *lines, user="fay").status == 201
    assert placed(api, *lines[1:], lines[1], user="fay", key="k").status == 409  # p1 twice: three of two
    assert placed(api, *lines[2:], lines[2], user="gus", key="k").status == 409
    assert placed(api, *lines[1:], user="gus", key="k").status == 201
    assert {api.available(product) for product in products[1:]} == {0}
    assert api.available("p0") == 1


def test_an_order_that_could_be_no_item_is_told_its_size_before_anything_is_sent(api: ShopApi) -> None:
    body = {"items": [line("tea")], "shippingAddress": {"in": [[1]] * 60_000}}
    answer = api("POST", "/users/hal/orders", text=json.dumps(body, separators=(",", ":")), reserve="now")
    assert "wanted an item of at most 409600 bytes, got 4" in answer.fields["body"]
    assert api.calls == []
