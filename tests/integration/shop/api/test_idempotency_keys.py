"""Orders under an Idempotency-Key: placed once, a repeat gets the same answer, and without a key nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from shop.stores.customer_orders import WantedOrder
from tests.support.shop_api import Answered, ShopApi

ORDER = {"items": [{"productId": "tea", "quantity": 2, "price": 4.5}], "shippingAddress": {"city": "Ulm", "zip": None}}


def placed(api: ShopApi, user: str, key: str | None = None, body: Any = ORDER, text: str | None = None) -> Answered:
    return api("POST", f"/users/{user}/orders", None if text else body, text=text, key=key)


def orders(api: ShopApi, user: str) -> list[str]:
    return [order["orderId"] for order in api("GET", f"/users/{user}/orders").body["items"]]


def records(api: ShopApi) -> list[dict[str, Any]]:
    return [item for item in api.items() if item["pk"]["S"].startswith("IDEM#")]


def test_an_order_is_placed_once_for_each_key(api: ShopApi) -> None:
    first = placed(api, "ada", "k1")
    assert (first.status, api.calls) == (202, ["TransactWriteItems"])
    api.clock.sleep(60)
    again = placed(api, "ada", "k1")
    assert (again.status, api.calls, again.body) == (202, ["TransactWriteItems"], first.body)
    other = placed(api, "ada", "k2")
    assert other.body["orderId"] != first.body["orderId"]
    assert orders(api, "ada") == [other.body["orderId"], first.body["orderId"]]
    assert api("GET", f"/orders/{first.body['orderId']}").body == first.body


def test_without_a_key_nothing_is_stored_but_the_order(api: ShopApi) -> None:
    before = records(api)
    assert placed(api, "bob").body["orderId"] != placed(api, "bob").body["orderId"]
    assert api.calls == ["PutItem"]
    assert records(api) == before


def test_a_repeat_gets_the_order_as_it_was_placed(api: ShopApi) -> None:
    first = placed(api, "cy", "k")
    path = f"/users/cy/orders/{first.body['orderId']}"
    assert api("PATCH", path, {"status": "cancelled", "expectedVersion": 1}).status == 200
    assert placed(api, "cy", "k").body == first.body
    api("DELETE", path)
    assert placed(api, "cy", "k").body == first.body
    assert orders(api, "cy") == []


def test_a_record_holds_a_hash_and_no_order(api: ShopApi) -> None:
    first = placed(api, "dot", "a/key")
    (record,) = [item for item in records(api) if "dot" in item["pk"]["S"]]
    assert record["pk"] == record["sk"] == {"S": "IDEM#orders/dot#a/key"}
    assert record["entityType"] == {"S": "Idempotency"}
    assert set(record) == {"pk", "sk", "entityType", "askedHash", "answer", "ttl"}
    assert record["answer"]["M"]["orderId"] == {"S": first.body["orderId"]}
    assert int(record["ttl"]["N"]) - int(api.clock.now()) in {86_400, 86_399}


@pytest.mark.parametrize(
    "text",
    [
        '{"shippingAddress":{"zip":null,"city":"Ulm"},"items":[{"price":4.50,"quantity":2.0,"productId":"tea"}]}',
        """{"items": [{"productId": "te\\u0061", "quantity": 2e0, "price": 45e-1, "name": null}],
            "shippingAddress": {"city": "Ulm", "zip": null}, "ttl": null}""",
    ],
    ids=["order, space and digits", "null of what may be left out"],
)
def test_the_same_meaning_is_the_same_request(api: ShopApi, text: str) -> None:
    first = placed(api, "eli", "k")
    again = placed(api, "eli", "k", text=text)
    assert (again.status, again.body) == (202, first.body)


def test_a_member_that_is_added_to_orders_later_changes_no_hash_of_an_order_without_it() -> None:
    assert WantedOrder("ada", [], {}).asked() == WantedOrder("ada", [], {"giftWrap": None}).asked()


@pytest.mark.parametrize(
    "body",
    [
        {**ORDER, "ttl": 2_000_000_000},
        {"items": ORDER["items"]},
        {**ORDER, "shippingAddress": {"city": "Ulm"}},
        {**ORDER, "items": [{"productId": "tea", "quantity": 3, "price": 4.5}]},
        {**ORDER, "items": [{"productId": "tea", "quantity": 2, "price": 4.5, "name": ""}]},
    ],
)
def test_another_meaning_is_refused_under_a_known_key(api: ShopApi, body: Any) -> None:
    placed(api, "fin", "k")
    answer = placed(api, "fin", "k", body)
    assert (answer.status, answer.code) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(orders(api, "fin")) == 1


def test_keys_of_two_customers_have_nothing_to_do_with_another(api: ShopApi) -> None:
    assert placed(api, "gil", "k").body["orderId"] != placed(api, "hans", "k").body["orderId"]


def test_a_key_is_compared_exactly(api: ShopApi) -> None:
    keys = ["k", "K", "k,", "k,k", "k#", '"k"', "~" * 255]
    made = {placed(api, "ines", key).body["orderId"] for key in keys}
    assert len(made) == len(keys)
    assert {placed(api, "ines", key).body["orderId"] for key in keys} == made


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "k\t", "\x7f", "x" * 256])
def test_a_key_is_visible_ascii(api: ShopApi, key: str) -> None:
    told = {"Idempotency-Key": "wanted 1 to 255 visible ASCII characters, got something else"}
    assert placed(api, "jo", key).fields == told
    assert api.calls == []
    assert api("POST", "/leads", {"name": "x"}, key=key).fields.keys() == {"email", "subject", "message"}


def test_a_key_is_known_for_a_day(api: ShopApi) -> None:
    first = placed(api, "kit", "k")
    api.clock.sleep(86_300)
    assert placed(api, "kit", "k").body == first.body
    api.clock.sleep(200)
    assert placed(api, "kit", "k").body["orderId"] != first.body["orderId"]


def test_a_refused_order_is_not_remembered(api: ShopApi) -> None:
    assert placed(api, "lou", "k", {"items": []}).status == 400
    assert placed(api, "lou", "k", {"items": [{"productId": "tea", "quantity": 1, "price": 1}]}).status == 202


def test_a_send_that_another_send_of_its_key_overtakes_gets_the_other_s_answer(api: ShopApi) -> None:
    answers: list[Answered] = []
    with api.before("TransactWriteItems", lambda: answers.append(placed(ShopApi(api.dynamodb, api.clock), "max", "k"))):
        answers.append(placed(api, "max", "k"))
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].text == answers[1].text
    assert orders(api, "max") == [answers[0].body["orderId"]]


def test_an_order_as_deep_as_json_may_be_has_a_key_too(api: ShopApi) -> None:
    deep: Any = "end"
    for _ in range(31):
        deep = {"in": deep}
    body = {**ORDER, "shippingAddress": deep}
    assert placed(api, "nia", None, body).status == 202
    assert placed(api, "nia", "k", body).status == 202


@contextmanager
def answers_that_get_lost(api: ShopApi) -> Iterator[None]:
    def lose(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="x")

    name = "after-call.dynamodb"
    api.dynamodb.meta.events.register(name, lose)
    try:
        yield
    finally:
        api.dynamodb.meta.events.unregister(name, lose)


def test_a_lost_answer_says_to_send_the_same_again_where_a_key_makes_that_safe(api: ShopApi) -> None:
    with answers_that_get_lost(api):
        lost = placed(api, "ole", "k")
        without = placed(api, "ole")
    assert (lost.status, lost.code, lost.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    assert lost.body["error"] == "The table's answer was lost: send the same again under the same key"
    assert (without.status, "Retry-After" in without.headers) == (503, False)
    again = placed(api, "ole", "k")
    assert again.status == 202
    assert orders(api, "ole").count(again.body["orderId"]) == 1
    assert len(orders(api, "ole")) == 2  # that of the key, and the one without
