"""An order with reserve=now through the real worker: whatever the stream says of it later changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shop.orders import OrderKey
from tablestream.testing import event, inserted, modified, removed
from tablestream.testing.doubles import FakeClock
from tests.support.shop_api import Answered, ShopApi
from tests.support.shop_app import App, shop_app


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    with shop_app(monkeypatch) as made:
        yield made


@pytest.fixture
def shop(app: App) -> ShopApi:
    """The API on the tables of the worker."""
    return ShopApi(app.aws.dynamodb, FakeClock())


def placed(shop: ShopApi, *quantities: int) -> Answered:
    lines = [{"productId": "tea", "quantity": quantity, "price": 2} for quantity in quantities]
    return shop("POST", "/users/ada/orders", {"items": lines}, reserve="now")


def test_the_worker_announces_a_reserved_order_and_takes_nothing_more(app: App, shop: ShopApi) -> None:
    app.aws.stock(tea=5)
    order_id = placed(shop, 2).body["orderId"]
    item = app.aws.order(OrderKey("USER#ada", f"ORDER#{order_id}"))
    record = inserted(item)
    for _ in range(2):  # delivered again, too
        assert app.send(event(record)) == {"batchItemFailures": []}
        assert app.aws.available("tea") == 3
        assert app.ledger() == {order_id: "RESERVED"}
        assert app.aws.order(OrderKey("USER#ada", f"ORDER#{order_id}")) == item
        assert set(app.notifications()) == {f"order.received {order_id}"}
    assert app.letters() == []


@pytest.mark.parametrize("end", ["cancelled", "removed"])
def test_what_a_reserved_order_holds_comes_back_once(app: App, shop: ShopApi, end: str) -> None:
    app.aws.stock(tea=5)
    order_id = placed(shop, 2, 1).body["orderId"]
    key, path = OrderKey("USER#ada", f"ORDER#{order_id}"), f"/users/ada/orders/{order_id}"
    before = app.aws.order(key)
    if end == "cancelled":
        assert shop("PATCH", path, {"status": "cancelled", "expectedVersion": 1}).status == 200
        record = modified(before, app.aws.order(key))
    else:
        assert shop("DELETE", path).status == 200
        record = removed(before)
    app.send(event(inserted(before)))
    assert (app.aws.available("tea"), app.ledger()) == (2, {order_id: "RESERVED"})
    for _ in range(2):
        app.send(event(record))
        assert (app.aws.available("tea"), app.ledger()) == (5, {order_id: "RELEASED"})
    told = {f"order.received {order_id}", f"order.{end} {order_id}"}
    assert set(app.notifications()) == told
