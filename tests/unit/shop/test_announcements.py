"""Messages about orders and about anything else: what they say, how large they may be, and how numbers are written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.handlers import announce, announce_order
from shop.orders import Order, OrderStatus
from tablestream import Change, InvalidRecord
from tablestream.sinks import Message, MessageTooLarge
from tablestream.sinks.messages import MAX_MESSAGE_BYTES
from tablestream.testing import Raw, inserted
from tests.support.orders import line, order_change, order_item

LEAD = {"pk": "LEAD#1", "sk": "LEAD#1", "entityType": "Lead", "leadId": "1"}


def told(before: OrderStatus | None = None, **changes: Any) -> Message:
    change = order_change(**changes)
    return announce_order(change, "order.received", Order.from_image(change.image), before)


def said(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(told(**changes).text)
    return body


# Orders.


def test_a_message_says_what_a_customer_may_see_and_no_more() -> None:
    change = Change.from_record(inserted(order_item(status="confirmed", version=2, items=[line("tea", 2)])))
    message = announce_order(change, "order.confirmed", Order.from_image(change.image), OrderStatus.PENDING)
    assert json.loads(message.text) == {
        "type": "order.confirmed",
        "eventId": change.event_id,
        "sequenceNumber": change.sequence_number,
        "orderId": "o-1",
        "version": 2,
        "status": "confirmed",
        "previousStatus": "pending",
        "total": "21",
        "lines": [{"productId": "tea", "quantity": 2}],
        "reason": None,
    }
    assert message.attributes == {"type": "order.confirmed", "entity": "Order", "status": "confirmed"}
    assert message.key == "order.confirmed"


@pytest.mark.parametrize("sent", ["redriven", "replayed"])
def test_a_change_that_was_sent_again_is_said_to_be_late(sent: str) -> None:
    change = Change.from_record({**inserted(order_item()), sent: True})
    message = announce_order(change, "order.received", Order.from_image(change.image))
    assert json.loads(message.text)["late"] is True
    assert "late" not in said()
    assert message.key == told().key, "or the journal would not know it"


@pytest.mark.parametrize(
    ("total", "written"),
    [
        (Decimal("0.10"), "0.1"),
        (Raw({"N": "0.10"}), "0.10"),
        (Raw({"N": "1E+3"}), "1000"),
        (21, "21"),
        (0, "0"),
        (10**37 + 1, "1" + "0" * 36 + "1"),
    ],
)
def test_totals_are_exact_text(total: Any, written: str) -> None:
    assert said(total=total)["total"] == written


def test_an_order_without_total_and_version_is_announced_without() -> None:
    body = said(total=None, version=None)
    assert (body["total"], body["version"]) == (None, None)


def test_versions_and_quantities_are_numbers_however_they_are_written() -> None:
    body = said(version=Raw({"N": "2.0"}), items=[line("tea", Raw({"N": "1E+1"}))])
    assert (body["version"], body["lines"]) == (2, [{"productId": "tea", "quantity": 10}])
    assert type(body["version"]) is type(body["lines"][0]["quantity"]) is int


def test_a_message_that_would_be_too_large_goes_without_its_lines() -> None:
    # JSON takes three times the bytes of DynamoDB for such letters.
    message = told(items=[line(f"{number:03}" + "é" * 1_000) for number in range(98)])
    body = json.loads(message.text)
    assert body["linesOmitted"] is True
    assert "lines" not in body
    assert message.size <= MAX_MESSAGE_BYTES


def test_a_message_that_is_too_large_without_its_lines_is_refused() -> None:
    with pytest.raises(MessageTooLarge, match="wanted a message of at most 262144 bytes, got 300") as raised:
        told(statusReason="x" * 300_000)
    assert isinstance(raised.value, InvalidRecord), "one record is bad, not the code"


@given(st.text(max_size=2000), st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_hostile_text_stays_text_and_its_size_is_known(reason: str, product: str) -> None:
    message = told(statusReason=reason, items=[line(product)])
    body = json.loads(message.text)
    assert (body["reason"], body["lines"][0]["productId"]) == (reason, product)
    assert message.text.isascii()
    assert message.size - len(message.text) == sum(len(k) + 6 + len(v) for k, v in message.attributes.items())


def test_a_message_of_exactly_the_limit_keeps_its_lines() -> None:
    slack = MAX_MESSAGE_BYTES - told(statusReason="").size
    assert "lines" in said(statusReason="x" * slack)
    assert "lines" not in said(statusReason="x" * (slack + 1))


# Anything else.


def test_an_entity_becomes_a_message_with_its_type() -> None:
    change = Change.from_record(inserted(LEAD))
    message = announce(change, "lead.created", "Lead", {"leadId": change.image["leadId"]})
    assert json.loads(message.text) == {
        "type": "lead.created",
        "eventId": change.event_id,
        "sequenceNumber": change.sequence_number,
        "leadId": "1",
    }
    assert (message.attributes, message.key) == ({"type": "lead.created", "entity": "Lead"}, "lead.created")
    assert announce(change, "lead.created", "Lead", {}, "new").attributes["status"] == "new"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Raw({"N": "10"}), "10"),
        (Raw({"N": "10.0"}), "10.0"),
        (Raw({"N": "1E+1"}), "10"),
        (Raw({"N": "-10.50"}), "-10.50"),
        (Raw({"N": "1E-7"}), "0.0000001"),
        (Raw({"N": "9007199254740993"}), "9007199254740993"),
        ("text", "text"),
        (True, True),
        (Raw({"NULL": True}), None),
        (b"\x00\xff", "AP8="),
        ({"b", "a"}, ["a", "b"]),
        ({10, 9}, ["9", "10"]),
        ({b"b", b"a"}, ["YQ==", "Yg=="]),
        ([1, {"units": 2, "tags": {"x"}}], ["1", {"units": "2", "tags": ["x"]}]),
    ],
)
def test_each_type_of_dynamodb_has_one_form_in_a_message(value: Any, said: Any) -> None:
    change = Change.from_record(inserted({**LEAD, "value": value}))
    body = json.loads(announce(change, "lead.created", "Lead", {"value": change.image["value"]}).text)
    assert body["value"] == said
    assert type(body["value"]) is type(said)


@pytest.mark.parametrize("fields", [{"change": object()}, {("lead", 1): "1"}, {"ratio": 0.5}])
def test_what_no_image_holds_is_a_mistake_of_the_handler(fields: Any) -> None:
    with pytest.raises(TypeError):
        announce(Change.from_record(inserted(LEAD)), "lead.created", "Lead", fields)
