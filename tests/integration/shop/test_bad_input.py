"""Bad input, row by row, at the function's entry point: what the handler answers, and what it does.

The rows, and what each gets, are in `tests.support.bad_input`; in batches they are in `test_bad_input_in_batches`.
After every test nothing of a customer is in what was logged, nor in an error that Lambda would log.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tablestream import InvalidEvent
from tablestream.sinks.messages import MAX_MESSAGE_BYTES
from tablestream.testing import Record, event, expired, inserted, modified, removed
from tests.support.bad_input import (
    POISON,
    PROCESSED,
    READ,
    REJECTED,
    SECRETS,
    SKIPPED,
    STOCK,
    SUCCESS,
    UNITS,
    WHOLE,
    key,
    line,
    order,
    without,
)
from tests.support.shop_app import App, shop_app
from tests.support.shop_aws import ORDERS


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[App]:
    caplog.set_level(logging.INFO)
    with shop_app(monkeypatch) as made:
        made.aws.stock(**STOCK)
        yield made
        written = " ".join([*made.written, caplog.text, *map(str, map(vars, caplog.records))]).lower()
        assert made.written
        assert [secret for secret in SECRETS if secret in written] == []


def place(app: App, *items: dict[str, Any]) -> None:
    """Put orders into the table, as their writer did before the stream told of it."""
    for item in items:
        app.aws.put(ORDERS, without(item, "items"))


def assert_nothing_happened(app: App) -> None:
    assert (app.available(list(STOCK)), app.ledger(), app.notifications()) == (STOCK, {}, [])
    assert (app.letters(), app.journal()) == ([], [])


# --- W: the whole invocation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", WHOLE)
def test_w_the_invocation_fails_with_a_clear_error_before_any_effect(row: str, app: App) -> None:
    sent, message = WHOLE[row]
    place(app, order("good-1"))
    with pytest.raises(InvalidEvent, match=message) as caught:
        app.send(sent)
    assert "wanted" in str(caught.value)
    assert_nothing_happened(app)
    assert app.metrics()["InvocationErrors"] == 1


# --- P: one record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", POISON)
def test_p_the_record_is_stored_with_its_payload_and_its_neighbours_are_processed(row: str, app: App) -> None:
    bad, reason = POISON[row]
    place(app, order("good-1"), order("good-2"))
    first, second = inserted(order("good-1"), sequence_number=1), inserted(order("good-2"), sequence_number=2**70)

    assert app.send({"Records": [first, bad, second]}) == SUCCESS

    (letter,) = app.letters()
    assert letter["record"] == json.loads(json.dumps(bad)), "the payload, complete"
    assert re.search(reason, letter["reason"]), letter["reason"]
    assert (letter["error_class"], letter["sequence_number"]) == ("InvalidRecord", bad["dynamodb"]["SequenceNumber"])
    assert app.ledger() == {"good-1": "RESERVED", "good-2": "RESERVED"}
    assert app.available(list(STOCK)) == {"tea": 18, "cup": 5}
    assert app.notifications() == ["order.received good-1", "order.received good-2"]
    counted = app.metrics()
    assert (counted["Records"], counted["RecordsApplied"], counted["DeadLetters"]) == (3, 2, 1)
    (logged,) = [entry for entry in app.lines() if entry.get("message") == "dead letter stored"]
    assert (logged["event_id"], logged["error_class"]) == (letter["event_id"], "InvalidRecord")


# --- S: skipped and counted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", SKIPPED)
def test_s_the_record_is_skipped_and_counted(row: str, app: App) -> None:
    place(app, order())
    assert app.send(event(SKIPPED[row])) == SUCCESS
    assert_nothing_happened(app)
    assert (app.metrics()["Records"], app.metrics()["RecordsSkipped"]) == (1, 1)


def test_s_an_empty_batch_is_a_success(app: App) -> None:
    assert app.send({"Records": []}) == SUCCESS
    assert_nothing_happened(app)


# --- what looks bad and is processed as ever -------------------------------------------------------------------------


@pytest.mark.parametrize("row", PROCESSED)
def test_it_is_ignored_and_the_order_is_confirmed(row: str, app: App) -> None:
    place(app, order())
    assert app.send({"Records": [PROCESSED[row]]}) == SUCCESS
    assert (app.ledger(), app.status(key("bad"))) == ({"bad": "RESERVED"}, "confirmed")
    assert app.available(["tea"]) == {"tea": 20 - UNITS.get(row, 1)}
    assert (app.notifications(), app.letters()) == (["order.received bad"], [])


def test_an_item_of_400_kb_is_processed_and_its_message_stays_under_the_limit(app: App) -> None:
    # Ids of two-byte characters: their JSON is three times as long, so that the message has to leave the lines out.
    products = [f"{number:02}" + "é" * 1000 for number in range(60)]
    large = order("large", items=[line(product) for product in products], letter="Dear Jane Doe, " * 18_000)
    made = inserted(large)
    assert 380_000 < sum(len(str(value).encode()) for value in large.values()) < 410_000
    place(app, without(large, "letter"))

    assert app.send(event(made)) == SUCCESS

    (message,) = app.aws.received()
    assert len(message["Body"].encode()) < MAX_MESSAGE_BYTES
    assert json.loads(message["Body"])["linesOmitted"] is True
    assert (app.ledger(), app.letters()) == ({"large": "REJECTED"}, [])


# --- B: a business outcome -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", REJECTED)
def test_b_the_order_is_rejected_with_a_reason_that_a_customer_can_read(row: str, app: App) -> None:
    bad, reason = REJECTED[row]
    place(app, order())
    assert app.send(event(bad)) == SUCCESS
    stored = app.aws.order(key("bad"))
    assert (stored["status"], stored["statusReason"], stored["version"]) == ("rejected", reason, 2)
    assert (app.ledger(), app.available(list(STOCK))) == ({"bad": "REJECTED"}, STOCK)
    assert (app.notifications(), app.letters()) == (["order.received bad"], [])

    # The worker's own change comes back by the stream, and is what announces the outcome.
    rejected = {**order(), "status": "rejected", "statusReason": reason}
    assert app.send(event(modified(order(), rejected, sequence_number=2**70))) == SUCCESS
    (message,) = app.aws.received()
    body = json.loads(message["Body"])
    assert (body["type"], body["previousStatus"], body["reason"]) == ("order.rejected", "pending", reason)


# --- the same again, too late, or out of order -----------------------------------------------------------------------


def test_the_same_record_twice_in_a_batch_has_one_effect(app: App) -> None:
    place(app, order())
    twice = inserted(order())
    assert app.send(event(twice, twice)) == SUCCESS
    assert (app.available(["tea"]), app.notifications()) == ({"tea": 19}, ["order.received bad"])
    assert app.metrics()["RecordsDuplicate"] == 1


def test_a_redriven_insertion_after_the_cancellation_takes_nothing(app: App) -> None:
    place(app, order("bad", "cancelled"))
    assert app.send(event(modified(READ, order("bad", "cancelled"), sequence_number=9))) == SUCCESS
    assert app.ledger() == {"bad": "WITHDRAWN"}
    assert app.send({"Records": [{**inserted(order(), sequence_number=5), "redriven": True}]}) == SUCCESS
    assert (app.ledger(), app.available(["tea"])) == ({"bad": "WITHDRAWN"}, {"tea": 20})
    bodies = [json.loads(message["Body"]) for message in app.aws.received()]
    assert [(body["type"], body.get("late")) for body in bodies] == [
        ("order.cancelled", None),
        ("order.received", True),
    ]


def test_a_cancellation_without_a_reservation_is_a_tombstone(app: App) -> None:
    place(app, order("bad", "cancelled"))
    assert app.send(event(modified(order(), order("bad", "cancelled")))) == SUCCESS
    assert (app.ledger(), app.available(list(STOCK))) == ({"bad": "WITHDRAWN"}, STOCK)
    assert app.notifications() == ["order.cancelled bad"]


@pytest.mark.parametrize(
    ("last_status", "ledger", "available", "told"),
    [
        ("pending", "RELEASED", 20, True),
        ("confirmed", "RELEASED", 20, True),
        ("cancelled", "RELEASED", 20, True),
        ("shipped", "RESERVED", 19, False),
        ("delivered", "RESERVED", 19, False),
        ("rejected", "RESERVED", 19, False),
    ],
)
@pytest.mark.parametrize(("remove", "announced"), [(expired, "order.expired"), (removed, "order.removed")])
def test_a_removal_by_ttl_counts_by_the_last_status_as_any_removal_and_is_announced_as_expired(
    last_status: str, ledger: str, available: int, told: bool, remove: Callable[..., Record], announced: str, app: App
) -> None:
    place(app, order())
    app.send(event(inserted(order())))
    app.notifications()
    assert app.send(event(remove(order("bad", last_status), sequence_number=2**70))) == SUCCESS
    assert (app.ledger(), app.available(["tea"])) == ({"bad": ledger}, {"tea": available})
    assert app.notifications() == ([f"{announced} bad"] if told else [])
