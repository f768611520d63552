"""`Topic` against the embedded AWS: what a subscriber gets."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from shop.handlers import announce_order
from shop.orders import Order
from tablestream.run import Run
from tablestream.sink import DONE
from tablestream.sinks import Message, Topic
from tablestream.testing import effects
from tests.support.orders import order_change
from tests.support.shop_aws import ShopAws, shop_aws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopAws]:
    with shop_aws(monkeypatch) as made:
        yield made


def told(number: int, reason: str | None = None) -> Message:
    change = order_change(number, statusReason=reason)
    return announce_order(change, "order.received", Order.from_image(change.image))


def test_a_subscriber_gets_every_message_with_its_attributes(aws: ShopAws) -> None:
    orders = effects(*[told(number) for number in range(12)])
    assert Topic(aws.topic_arn, aws.sns).apply(orders, Run()) == [DONE] * 12
    messages = aws.received()
    bodies = [json.loads(message["Body"]) for message in messages]
    assert sorted(body["orderId"] for body in bodies) == sorted(f"o-{number}" for number in range(12))
    assert {name: value["StringValue"] for name, value in messages[0]["MessageAttributes"].items()} == {
        "type": "order.received",
        "entity": "Order",
        "status": "pending",
    }


def test_hostile_text_arrives_as_it_is(aws: ShopAws) -> None:
    hostile = 'a"b\\c\u0000\u2028<script>é😀'
    assert Topic(aws.topic_arn, aws.sns).apply(effects(told(1, hostile)), Run()) == [DONE]
    (message,) = aws.received()
    assert json.loads(message["Body"])["reason"] == hostile


def test_messages_near_the_limit_go_in_calls_of_their_own(aws: ShopAws) -> None:
    messages = effects(told(1, "x" * 200_000), told(2, "x" * 200_000))
    assert Topic(aws.topic_arn, aws.sns).apply(messages, Run()) == [DONE, DONE]
    assert len(aws.received()) == 2
