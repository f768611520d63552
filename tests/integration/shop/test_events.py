"""Every sample event through the handler: answer and effects of `tests/support/events_table.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from demo.warehouse import PRODUCTS
from shop.orders import OrderKey
from tablestream import TablestreamError
from tests.support.events_table import EVENTS, TABLE, customer_of, ledger_items
from tests.support.shop_app import App, shop_app
from tests.support.shop_aws import INVENTORY, ORDERS


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    with shop_app(monkeypatch) as made:
        made.aws.stock(**PRODUCTS)
        yield made


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert sorted(path.stem for path in EVENTS.glob("*.json")) == sorted(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_sample_event_has_this_answer_and_these_effects(name: str, app: App) -> None:
    expected = TABLE[name]
    event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    before = _orders_of(app, event)
    for item in ledger_items(expected):
        app.aws.dynamodb.put_item(TableName=INVENTORY, Item=item)

    if expected.error:
        with pytest.raises(TablestreamError) as caught:
            app.send(event)
        assert type(caught.value).__name__ == expected.error
    else:
        assert app.send(event) == expected.answer

    assert app.available(list(PRODUCTS)) == expected.stock
    assert app.ledger() == expected.ledger
    after = {
        order_id: app.status(OrderKey(f"USER#{customer_of(order_id)}", f"ORDER#{order_id}")) for order_id in before
    }
    assert {order_id: status for order_id, status in after.items() if status != before[order_id]} == expected.statuses
    assert app.notifications() == sorted(expected.notifications)
    stored = sorted(event["Records"].index(letter["record"]) for letter in app.letters())
    assert stored == sorted(expected.dead_letters)
    assert app.journal() == [], "nothing has failed, so nothing had to be remembered"


def _orders_of(
    app: App, event: dict[str, list[dict[str, dict[str, dict[str, dict[str, str]]]]]]
) -> dict[str, str | None]:
    """Bring the orders table to where the event has left it; return the statuses by order id."""
    statuses: dict[str, str | None] = {}
    for record in event["Records"]:
        image = record["dynamodb"].get("NewImage") or record["dynamodb"].get("OldImage") or {}
        if image.get("entityType") != {"S": "Order"}:
            continue
        order_id = image["orderId"]["S"]
        if "NewImage" in record["dynamodb"]:
            plain = {name: image[name] for name in ("pk", "sk", "status", "version")}
            app.aws.dynamodb.put_item(TableName=ORDERS, Item=plain)
        statuses[order_id] = image["status"]["S"] if "NewImage" in record["dynamodb"] else None
    return statuses
