"""Orders by HTTP: placed, found by customer, id, status and date, and changed as far as callers may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shop.orders import BEFORE, OrderStatus
from tests.support.shop_api import TABLE, Answered, ShopApi

LINE = {"productId": "tea", "quantity": 2, "price": 4.5}


def placed(api: ShopApi, user_id: str, **more: Any) -> Answered:
    answer = api("POST", f"/users/{user_id}/orders", {"items": [LINE], **more})
    assert answer.status == 202, answer.text
    return answer


def ids(answer: Answered) -> list[str]:
    return [order["orderId"] for order in answer.body["items"]]


def walked(api: ShopApi, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Yield what all pages hold."""
    cursor: dict[str, str] = {}
    while True:
        page = api("GET", path, **query, **cursor).body
        yield from page["items"]
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


def with_status(api: ShopApi, user_id: str, order_id: str, status: str, at: str | None = None) -> None:
    """Give an order a status as the worker does, and another date."""
    key = {"pk": {"S": f"USER#{user_id}"}, "sk": {"S": f"ORDER#{order_id}"}}
    order = api.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    order |= {"status": {"S": status}, **({} if at is None else {"createdAt": {"S": at}})}
    api.dynamodb.put_item(TableName=TABLE, Item=order)


def test_an_order_is_placed_pending_with_a_total_of_exact_digits(api: ShopApi) -> None:
    lines = (
        '[{"productId": "tea", "quantity": 3e0, "price": 0.10}, {"productId": "cup", "quantity": 1, "price": 19.99}]'
    )
    answer = api("POST", "/users/ada/orders", text=f'{{"items": {lines}, "shippingAddress": {{"city": "Ulm"}}}}')
    assert (answer.status, api.calls) == (202, ["PutItem"])
    order = answer.body
    assert (order["status"], order["customerId"], order["version"]) == ("pending", "ada", 1)
    assert order["shippingAddress"] == {"city": "Ulm"}
    assert '"total":20.29' in answer.text
    assert '"quantity":3,"price":0.1' in answer.text
    assert not {"pk", "sk", "GSI1PK", "GSI1SK", "entityType", "ttl"} & set(order)


def test_a_total_has_all_digits_that_a_price_has(api: ShopApi) -> None:
    price = "12345678901234567890.123456789"
    text = f'{{"items": [{{"productId": "tea", "quantity": 2, "price": {price}}}]}}'
    answer = api("POST", "/users/exact/orders", text=text)
    assert '"total":24691357802469135780.246913578,' in answer.text
    assert f'"price":{price}' in api("GET", f"/users/exact/orders/{answer.body['orderId']}").text
    many = f'{{"items": [{{"productId": "tea", "quantity": 999999, "price": 1{"0" * 30}.1234567}}]}}'
    assert list(api("POST", "/users/exact/orders", text=many).fields) == ["items"]


def test_the_item_is_as_the_worker_wants_it(api: ShopApi) -> None:
    order = placed(api, "stored", ttl=2_000_000_000).body
    (item,) = [item for item in api.items() if item["pk"] == {"S": "USER#stored"}]
    order_id = order["orderId"]
    assert item["sk"] == {"S": f"ORDER#{order_id}"}
    assert (item["GSI1PK"], item["GSI1SK"]) == ({"S": f"ORDER#{order_id}"}, {"S": "USER#stored"})
    assert (item["entityType"], item["ttl"]) == ({"S": "Order"}, {"N": "2000000000"})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": [{**LINE, "quantity": 0}]}, "items[0].quantity"),
        ({"items": [{**LINE, "quantity": 1_000_001}]}, "items[0].quantity"),
        ({"items": [{**LINE, "quantity": 1.5}]}, "items[0].quantity"),
        ({"items": [{**LINE, "quantity": "1"}]}, "items[0].quantity"),
        ({"items": [{**LINE, "quantity": True}]}, "items[0].quantity"),
        ({"items": [{**LINE, "price": -0.01}]}, "items[0].price"),
        ({"items": [{**LINE, "price": "4"}]}, "items[0].price"),
        ({"items": [{**LINE, "productId": ""}]}, "items[0].productId"),
        ({"items": [{**LINE, "productId": "ä" * 1021}]}, "items[0].productId"),
        ({"items": [{**LINE, "sku": 1}]}, "items[0].sku"),
        ({"items": [{**LINE, "productId": str(number)} for number in range(99)]}, "items"),
        ({"total": 1}, "total"),
        ({"status": "confirmed"}, "status"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": 1_763_640_000_000}, "ttl"),
        ({"shippingAddress": "Ulm"}, "shippingAddress"),
    ],
)
def test_an_order_that_the_worker_would_not_take_is_refused(api: ShopApi, change: Any, field: str) -> None:
    answer = api("POST", "/users/ada/orders", {"items": [LINE], **change})
    assert (answer.status, list(answer.fields), api.calls) == (400, [field], [])


def test_an_order_of_98_products_is_taken(api: ShopApi) -> None:
    lines = [{**LINE, "productId": str(number % 98)} for number in range(120)]
    assert api("POST", "/users/large/orders", {"items": lines}).status == 202


def test_an_order_is_found_by_its_key_and_by_its_id(api: ShopApi) -> None:
    order = placed(api, "finder").body
    assert api("GET", f"/users/finder/orders/{order['orderId']}").body == order
    assert api.calls == ["GetItem"]
    assert api("GET", f"/orders/{order['orderId']}").body == order
    assert api("GET", f"/users/other/orders/{order['orderId']}").code == "NOT_FOUND"
    assert api("GET", "/orders/none").code == "NOT_FOUND"


def test_a_status_changes_only_on_the_ways_there_are(api: ShopApi) -> None:
    for before in OrderStatus:
        for after in OrderStatus:
            order = placed(api, "ways").body["orderId"]
            with_status(api, "ways", order, before)
            path = f"/users/ways/orders/{order}"
            answer = api("PATCH", path, {"status": after, "expectedVersion": 1})
            assert api.calls == ["UpdateItem"]
            if before in BEFORE.get(after, ()):
                assert (answer.status, answer.body["status"], answer.body["version"]) == (200, after, 2)
            else:
                assert (answer.status, answer.code) == (409, "ILLEGAL_TRANSITION")
                assert answer.body["current"]["status"] == before
                assert api("GET", path).body["version"] == 1


def test_a_status_is_changed_of_the_version_that_was_seen(api: ShopApi) -> None:
    order = placed(api, "seen").body
    path = f"/users/seen/orders/{order['orderId']}"
    stale = api("PATCH", path, {"status": "cancelled", "expectedVersion": 2})
    assert (stale.status, stale.code, stale.body["current"], api.calls) == (
        409,
        "VERSION_CONFLICT",
        order,
        ["UpdateItem"],
    )
    assert api("PATCH", "/users/seen/orders/none", {"status": "shipped", "expectedVersion": 1}).code == "NOT_FOUND"
    assert api("PATCH", "/users/seen/orders/none", {"status": "pending", "expectedVersion": 1}).code == "NOT_FOUND"
    assert list(api("PATCH", path, {"status": "lost"}).fields) == ["status", "expectedVersion"]
    assert list(api("PATCH", path, {}).fields) == ["status", "expectedVersion"]


def test_a_deleted_order_is_shown_once_more(api: ShopApi) -> None:
    order = placed(api, "deleter").body
    path = f"/users/deleter/orders/{order['orderId']}"
    assert (api("DELETE", path).body, api.calls) == ({"deleted": order}, ["DeleteItem"])
    assert api("DELETE", path).code == "NOT_FOUND"


def test_a_user_s_orders_come_newest_first_by_pages(api: ShopApi) -> None:
    orders = [placed(api, "walker").body for _ in range(5)]
    api("POST", "/users", {"userId": "walker", "email": "walker@example.com", "name": "W"})
    first = api("GET", "/users/walker/orders", limit=2)
    assert (first.body["items"], first.body["count"], first.body["hasMore"]) == (orders[:2:-1], 2, True)
    assert api.calls == ["Query"]
    second = api("GET", "/users/walker/orders", limit=2, cursor=first.body["nextCursor"])
    third = api("GET", "/users/walker/orders", limit=2, cursor=second.body["nextCursor"])
    assert [*second.body["items"], *third.body["items"]] == orders[2::-1]
    assert (third.body["nextCursor"], third.body["hasMore"]) == (None, False)
    assert [order["orderId"] for order in walked(api, "/users/walker/orders", limit=3, order="asc")] == [
        order["orderId"] for order in orders
    ]
    exact = api("GET", "/users/walker/orders", limit=5)
    assert (exact.body["count"], exact.body["hasMore"]) == (5, False)


def test_a_cursor_belongs_to_its_question_and_shows_no_other_partition(api: ShopApi) -> None:
    for user in ("mine", "theirs"):
        for _ in range(3):
            placed(api, user)
    cursor = api("GET", "/users/theirs/orders", limit=1).body["nextCursor"]
    shown = api("GET", "/users/mine/orders", cursor=cursor)
    assert {order["customerId"] for order in shown.body.get("items", [])} <= {"mine"}
    for query in ({"order": "asc"}, {"from_": "2025-01-01"}):
        assert api("GET", "/users/theirs/orders", cursor=cursor, **query).code == "INVALID_CURSOR"
    assert api("GET", "/orders", status="pending", cursor=cursor).code == "INVALID_CURSOR"
    for forged in ("", "x", f"{cursor}x", cursor[:-4], "W10", "é", "A" * 60_000):
        assert api("GET", "/users/theirs/orders", cursor=forged).code == "INVALID_CURSOR"
        assert api("GET", "/orders", status="pending", cursor=f"{forged}~1763640000").code == "INVALID_CURSOR"


def test_a_filtered_page_is_filled(api: ShopApi) -> None:
    wanted = []
    for number in range(12):
        order = placed(api, "filter").body["orderId"]
        if number % 4 == 0:
            with_status(api, "filter", order, "confirmed")
            wanted.append(order)
    page = api("GET", "/users/filter/orders", status="confirmed", limit=2)
    assert (ids(page), page.body["hasMore"]) == (wanted[:0:-1], True)
    rest = api("GET", "/users/filter/orders", status="confirmed", limit=2, cursor=page.body["nextCursor"])
    assert ids(rest) == wanted[:1]


def test_a_user_s_orders_are_chosen_by_date(api: ShopApi) -> None:
    api("POST", "/users", {"userId": "dated", "email": "dated@example.com", "name": "D"})
    times = [
        "2025-11-09T23:59:59.999Z",
        "2025-11-10T00:00:00.000Z",
        "2025-11-10T23:59:59.999Z",
        "2025-11-11T00:00:00.000Z",
    ]
    orders = []
    for time in times:
        order = placed(api, "dated").body["orderId"]
        with_status(api, "dated", order, "confirmed", time)
        orders.append(order)

    def chosen(**query: str) -> list[str]:
        answer = api("GET", "/users/dated/orders", order="asc", **query)
        assert answer.status == 200, answer.text
        return ids(answer)

    assert chosen(from_="2025-11-10", to="2025-11-10") == orders[1:3]
    assert api.calls == ["Query"]
    assert chosen(from_="2025-11-10") == orders[1:]
    assert chosen(to="2025-11-10") == orders[:3]
    assert chosen(from_="2025-11-10T01:00:00+01:00", to="2025-11-10T00:00:00Z") == orders[1:2]
    assert chosen(from_="2025-11-10T00:00:00.001Z", to="2025-11-11T00:00:00Z") == orders[2:]
    assert chosen(from_="2025-11-10T00:00:00.0001Z", to="2025-11-11T00:00:00.0009Z") == orders[2:]
    assert chosen(from_="2025-11-01", status="pending") == []
    whole = api("GET", "/users/dated/orders", from_="2025-11-10", to="2025-11-10", limit=1).body["items"][0]
    assert whole == api("GET", f"/users/dated/orders/{orders[2]}").body
    pages = list(walked(api, "/users/dated/orders", from_="2025-11-01", limit=1))
    assert [order["orderId"] for order in pages] == orders[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from_": "2025-11-11", "to": "2025-11-10"}, "from"),
        ({"from_": "yesterday"}, "from"),
        ({"to": "2025-11-10T12:00:00"}, "to"),
        ({"to": "2025-13-01"}, "to"),
        ({"from_": "9999-12-31T23:59:59-12:00"}, "from"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "lost"}, "status"),
        ({"order": "up"}, "order"),
        ({"stauts": "pending"}, "stauts"),
    ],
)
def test_a_question_that_nobody_can_answer_is_refused(api: ShopApi, query: Any, field: str) -> None:
    answer = api("GET", "/users/ada/orders", **query)
    assert (answer.status, list(answer.fields), api.calls) == (400, [field], [])


def test_all_orders_with_a_status_are_those_of_the_last_seven_days(api: ShopApi) -> None:
    api.clock.sleep(30 * 24 * 3600)
    now = api.clock.now()
    recent = [placed(api, "shipper").body["orderId"] for _ in range(4)]
    old = placed(api, "shipper").body["orderId"]
    for order, at in zip([*recent, old], ["18", "17", "16", "13T12:00:09", "13T11:00:00"], strict=True):
        time = f"2025-12-{at}.000Z" if "T" in at else f"2025-12-{at}T00:00:00.000Z"
        with_status(api, "shipper", order, "shipped", time)
    answer = api("GET", "/orders", status="shipped")
    assert (ids(answer), api.calls) == (recent, ["Query"])
    assert ids(api("GET", "/orders", status="shipped", from_="2025-12-01")) == [*recent, old]
    assert ids(api("GET", "/orders", status="shipped", to="2025-12-17")) == [*recent[1:], old]
    assert ids(api("GET", "/orders", status="shipped", from_="2025-12-16", to="2025-12-17")) == recent[1:3]

    # The walk keeps the days that it began with, though an hour passes between its pages.
    first = api("GET", "/orders", status="shipped", limit=3)
    api.clock.sleep(3600)
    rest = api("GET", "/orders", status="shipped", limit=3, cursor=first.body["nextCursor"])
    assert ids(rest) == recent[3:]
    assert ids(api("GET", "/orders", status="shipped")) == recent[:3]
    later = f"{first.body['nextCursor'].partition('~')[0]}~{int(now) + 10**6}"
    assert api("GET", "/orders", status="shipped", cursor=later).code == "INVALID_CURSOR"
    assert list(api("GET", "/orders").fields) == ["status"]
