"""The table of what each change of an order leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shop.handlers import router
from shop.orders import OrderKey, OrderLine, OrderStatus
from shop.stock import Release, Reserve
from shop.stock.decisions import Decider, Tables
from tablestream.change import Change
from tablestream.dynamodb.items import item_bytes
from tablestream.dynamodb.transactions import pack
from tablestream.errors import InvalidRecord
from tablestream.sinks import Message
from tablestream.testing import Raw, expired, inserted, modified, removed
from tests.support.orders import order_item

KEY = OrderKey("USER#c-1", "ORDER#o-1")
STATUSES = [status.value for status in OrderStatus]


def effects_of(record: dict[str, Any]) -> list[Any]:
    """Call the handlers as the worker does: an item that became another entity is removed and inserted."""
    return [
        effect
        for kind, handlers in router.routes(record)
        for handler in handlers
        for effect in handler(Change(record, record["eventID"], kind))
    ]


def kinds(record: dict[str, Any]) -> list[str]:
    """Name the effects: a message by its type, any other by its class."""
    return [str(effect.key) if isinstance(effect, Message) else type(effect).__name__ for effect in effects_of(record)]


def test_a_new_pending_order_is_reserved_and_announced() -> None:
    record = inserted(order_item())
    reserve, message = effects_of(record)
    lines = (OrderLine("tea", 2), OrderLine("cup", 1))
    assert reserve == Reserve(KEY, lines, record["dynamodb"]["SizeBytes"])
    body = json.loads(message.text)
    assert (body["type"], body["orderId"], body["previousStatus"]) == ("order.received", "o-1", None)


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "pending"])
def test_a_new_order_of_another_status_is_only_announced(status: str) -> None:
    assert kinds(inserted(order_item(status=status))) == ["order.received"]


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in {"pending", "cancelled"}])
def test_a_new_status_is_announced_with_the_one_before(status: str) -> None:
    (message,) = effects_of(modified(order_item(), order_item(status=status)))
    body = json.loads(message.text)
    assert (body["type"], body["status"], body["previousStatus"]) == (f"order.{status}", status, "pending")


@pytest.mark.parametrize("before", [status for status in STATUSES if status != "cancelled"])
def test_a_cancelled_order_is_released_and_announced_whatever_it_was(before: str) -> None:
    record = modified(order_item(status=before), order_item(status="cancelled"))
    release, message = effects_of(record)
    assert release == Release(KEY)
    body = json.loads(message.text)
    assert (body["type"], body["previousStatus"]) == ("order.cancelled", before)


def test_the_repair_of_an_unknown_status_is_announced_without_the_one_before() -> None:
    (message,) = effects_of(modified(order_item(status="lost"), order_item(status="confirmed")))
    assert json.loads(message.text)["previousStatus"] is None


@pytest.mark.parametrize("status", STATUSES)
def test_an_item_that_was_another_entity_counts_as_a_new_order(status: str) -> None:
    became = modified(order_item(entityType="Draft", status="pending"), order_item(status=status))
    assert kinds(became) == kinds(inserted(order_item(status=status)))


@pytest.mark.parametrize("status", STATUSES)
def test_an_order_that_became_another_entity_counts_as_removed(status: str) -> None:
    became = modified(order_item(status=status), order_item(entityType="Draft", status=status))
    assert kinds(became) == kinds(removed(order_item(status=status)))


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


@pytest.mark.parametrize(
    "record",
    [
        inserted(order_item(items=[])),
        inserted(order_item(status="confirmed", items=[])),
        removed(order_item(items=[])),
        modified(order_item(), order_item(status="shipped", items=[])),
        modified(order_item(), order_item(status="cancelled", items=[])),
    ],
)
def test_an_order_that_cannot_be_understood_is_poison_before_any_effect(record: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match="items"):
        effects_of(record)


def test_an_order_whose_message_is_too_large_is_poison_before_any_effect() -> None:
    with pytest.raises(InvalidRecord, match="wanted a message of at most"):
        effects_of(inserted(order_item(statusReason="x" * 300_000)))


def test_an_order_whose_key_the_ledger_could_not_hold_is_poison() -> None:
    with pytest.raises(InvalidRecord, match="pk: wanted at most 2041 bytes"):
        effects_of(inserted(order_item(pk="x" * 2042)))


def test_a_settled_order_that_is_removed_need_not_be_understood() -> None:
    assert effects_of(removed(order_item(status="shipped", items=[]))) == []


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


@pytest.mark.parametrize("size", [None, 0, -1, "large", True, 2**60])
def test_a_size_that_the_stream_does_not_say_or_cannot_mean_is_that_of_the_item(size: object) -> None:
    record = inserted(order_item())
    record["dynamodb"]["SizeBytes"] = size
    assert effects_of(record)[0].order_bytes == item_bytes(record["dynamodb"]["NewImage"])


def test_large_orders_whose_size_the_stream_does_not_say_do_not_share_a_transaction() -> None:
    records = [inserted(order_item(sk=f"ORDER#{number}", note="x" * 400_000)) for number in range(49)]
    for record in records:
        del record["dynamodb"]["SizeBytes"]
    decider = Decider(Tables("orders", "inventory"), 0.0)
    (chain,) = pack([decider.confirm(effects_of(record)[0], "effect") for record in records])
    assert max(len(transaction.decisions) for transaction in chain) == 9


def test_attributes_that_nobody_reads_may_be_broken() -> None:
    assert kinds(inserted(order_item(email=Raw({"X": 1})))) == ["Reserve", "order.received"]
