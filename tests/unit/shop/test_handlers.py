"""The table of what each change of an order leads to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from shop.effects import Notification, OrderFacts, Release, Request, Reserve
from shop.handlers import routes
from shop.orders import Order, OrderKey, OrderLine, OrderStatus
from tablestream.change import Change
from tablestream.errors import InvalidRecord
from tablestream.router import Handler
from tablestream.testing import Raw, expired, inserted, modified, removed
from tests.unit.shop.builders import order_item

KEY = OrderKey("USER#c-1", "ORDER#o-1")
STATUSES = [status.value for status in OrderStatus]


def handlers_of(record: dict[str, Any]) -> list[Handler]:
    return [handler for _, handlers in routes().routes(record) for handler in handlers]


def effects_of(record: dict[str, Any]) -> list[Any]:
    change = Change.from_record(record)
    answers: Iterable[Any] = [handler(change) for handler in handlers_of(record)]
    return [answer for answer in answers if answer is not None]


def kinds(record: dict[str, Any]) -> list[str]:
    """Name the effects: a notification by its type, any other by its class."""
    return [effect.type if isinstance(effect, Notification) else type(effect).__name__ for effect in effects_of(record)]


def test_a_new_pending_order_is_reserved_and_announced() -> None:
    record = inserted(order_item())
    reserve, notification = effects_of(record)
    lines = (OrderLine("tea", 2), OrderLine("cup", 1))
    assert reserve.request() == Request(KEY, record["eventID"], lines, record["dynamodb"]["SizeBytes"])
    assert notification == Notification("order.received", reserve.change)


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "pending"])
def test_a_new_order_of_another_status_is_only_announced(status: str) -> None:
    assert kinds(inserted(order_item(status=status))) == ["order.received"]


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in {"pending", "cancelled"}])
def test_a_new_status_is_announced_with_the_one_before(status: str) -> None:
    (notification,) = effects_of(modified(order_item(), order_item(status=status)))
    assert notification.type == f"order.{status}"
    assert OrderFacts(notification.change).fields()["previousStatus"] is OrderStatus.PENDING


@pytest.mark.parametrize("before", [status for status in STATUSES if status != "cancelled"])
def test_a_cancelled_order_is_released_and_announced_whatever_it_was(before: str) -> None:
    record = modified(order_item(status=before), order_item(status="cancelled"))
    release, notification = effects_of(record)
    assert release.request() == Request(KEY, record["eventID"])
    assert (notification.type, OrderFacts(notification.change).fields()["previousStatus"]) == (
        "order.cancelled",
        before,
    )


def test_a_change_of_anything_but_the_status_leads_to_nothing() -> None:
    assert effects_of(modified(order_item(), order_item(email="joe@example.com", items=[]))) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ["Release", "order.removed"]),
        ("confirmed", ["Release", "order.removed"]),
        ("cancelled", ["Release", "order.removed"]),
        ("rejected", []),
        ("shipped", []),
        ("delivered", []),
    ],
)
def test_a_removed_order_is_released_and_announced_unless_it_was_settled(status: str, expected: list[str]) -> None:
    assert kinds(removed(order_item(status=status))) == expected


def test_an_order_that_time_to_live_removed_is_announced_as_expired() -> None:
    assert kinds(expired(order_item(status="confirmed"))) == ["Release", "order.expired"]
    assert kinds(expired(order_item(status="shipped"))) == []


def test_other_entities_lead_to_nothing() -> None:
    assert kinds(inserted(order_item(entityType="Customer", sk="PROFILE"))) == []


def test_a_key_of_an_order_without_entity_type_is_poison() -> None:
    with pytest.raises(InvalidRecord, match="entityType"):
        effects_of(inserted(order_item(entityType=None)))


@pytest.mark.parametrize("make", [inserted, removed])
def test_lines_that_cannot_be_understood_are_refused_when_an_effect_is_read(make: Any) -> None:
    for effect in effects_of(make(order_item(items=[]))):
        with pytest.raises(InvalidRecord, match="items"):
            _read(effect)


def test_lines_that_cannot_be_understood_are_refused_for_a_new_status_before_anything_is_released() -> None:
    for effect in effects_of(modified(order_item(), order_item(status="cancelled", items=[]))):
        with pytest.raises(InvalidRecord, match="items"):
            _read(effect)


@pytest.mark.parametrize("before", [Raw({"S": 5}), Raw({"S": "pending", "N": "1"}), Raw([])])
@pytest.mark.parametrize("status", ["shipped", "cancelled"])
def test_a_malformed_status_before_is_poison_before_anything_has_happened(before: object, status: str) -> None:
    with pytest.raises(InvalidRecord, match="status"):
        effects_of(modified(order_item(status=before), order_item(status=status)))


@pytest.mark.parametrize("before", ["confirmed", "rejected", "shipped", "delivered", "cancelled", "lost", None])
def test_an_order_that_becomes_pending_again_is_poison_as_it_would_stay_so(before: str | None) -> None:
    reason = (
        f"status: wanted a new order .*, got pending after {before if before not in {'lost', None} else 'an unknown'}"
    )
    with pytest.raises(InvalidRecord, match=reason):
        effects_of(modified(order_item(status=before), order_item(status="pending")))


def test_an_unknown_status_is_poison() -> None:
    with pytest.raises(InvalidRecord, match="status"):
        effects_of(modified(order_item(), order_item(status="lost")))


@pytest.mark.parametrize("size", [None, -1, "large", True])
def test_a_size_that_is_none_is_taken_as_not_known(size: object) -> None:
    record = inserted(order_item())
    record["dynamodb"]["SizeBytes"] = size
    assert effects_of(record)[0].request().order_bytes == 0


def test_both_handlers_share_one_parsed_order() -> None:
    record = inserted(order_item())
    change = Change.from_record(record)
    reserve, notification = [handler(change) for handler in handlers_of(record)]
    assert reserve.request().lines is change.image.parsed(Order.from_image).lines
    assert OrderFacts(notification.change).fields()["orderId"] == "o-1"


def test_attributes_that_nobody_reads_may_be_broken() -> None:
    assert kinds(inserted(order_item(email=Raw({"X": 1})))) == ["Reserve", "order.received"]


def _read(effect: Reserve | Release | Notification) -> None:
    """Do what the effect's sink does first."""
    if isinstance(effect, Notification):
        OrderFacts(effect.change).fields()
    else:
        effect.request()
