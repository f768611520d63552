"""The invocation that ends before its answer, and the batch that comes again: stock moves once, mails go out once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo import samples
from shop.worker import make_worker
from tablestream import NoProgress, Sequential
from tablestream.aws import Aws
from tablestream.testing import FakeClock, FakeContext, Record, client_error, event, inserted, modified
from tablestream.worker import LambdaHandler
from tests.support.shop_app import App, shop_app
from tests.support.shop_aws import ORDERS

SUCCESS: dict[str, Any] = {"batchItemFailures": []}
Hook = Callable[[dict[str, Any]], None]


class Killed(KeyboardInterrupt):
    """The execution environment is gone: no `except Exception` sees it."""


class Meddled:
    """A boto3 client with something happening before or after one of its calls."""

    def __init__(self, client: Any, call: str, *, before: Hook | None = None, after: Hook | None = None) -> None:
        self._client, self._call, self._before, self._after = client, call, before, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return self._meddle(method) if name == self._call else method

    def _meddle(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            if self._before:
                self._before(request)
            answer = method(**request)
            if self._after:
                self._after(request)
            return answer

        return call


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    with shop_app(monkeypatch) as made:
        made.aws.stock(tea=20, cup=5)
        yield made


def worker(app: App, *, dynamodb: Any = None, topic: Any = None) -> LambdaHandler:
    """Return the function as `shop.processor` makes it, with some of its clients replaced."""
    clients = {"dynamodb": dynamodb or app.aws.dynamodb, "sns": topic or app.aws.sns, "s3": app.aws.s3}
    aws = Aws(app.aws.environment, clients=clients)
    return make_worker(aws, clock=FakeClock(), parallel=Sequential()).handler(aws)


def send(worker: LambdaHandler, whole: Any) -> Any:
    return worker(whole, FakeContext())


def killed(_request: dict[str, Any]) -> None:
    raise Killed


def throttled(*order_ids: str) -> Hook:
    """Return what fails a transaction that speaks of one of these orders, as throttling does."""

    def fail(request: dict[str, Any]) -> None:
        if any(f"ORDER#{order_id}" in str(request) for order_id in order_ids):
            raise client_error("ThrottlingException", "TransactWriteItems")

    return fail


def placed(app: App, order_id: str, **lines: Any) -> Record:
    """Place an order; return the record of its insertion."""
    item = samples.order(order_id, **lines)
    app.aws.put(ORDERS, item)
    return inserted(item)


def shipped(order_id: str, **lines: Any) -> Record:
    """Return the record of an order that is shipped: it is announced and moves no stock."""
    item = samples.order(order_id, "confirmed", **lines)
    return modified(item, {**item, "status": "shipped"})


def bodies(app: App) -> list[dict[str, Any]]:
    return [json.loads(message["Body"]) for message in app.aws.received()]


# --- a crash between commit and answer -------------------------------------------------------------------------------


def test_a_crash_after_the_transaction_takes_no_stock_twice(app: App) -> None:
    batch = event(placed(app, "1", tea=2, cup=1), placed(app, "2", tea=3))
    with pytest.raises(Killed):
        send(worker(app, dynamodb=Meddled(app.aws.dynamodb, "transact_write_items", after=killed)), batch)
    assert app.available(["tea", "cup"]) == {"tea": 15, "cup": 4}, "committed, but nobody knows"

    assert app.send(batch) == SUCCESS
    assert app.available(["tea", "cup"]) == {"tea": 15, "cup": 4}
    assert app.ledger() == {"1": "RESERVED", "2": "RESERVED"}
    assert app.notifications() == ["order.received 1", "order.received 2"], "each announced once"


def test_a_crash_before_the_transaction_loses_nothing(app: App) -> None:
    batch = event(placed(app, "1", tea=2))
    with pytest.raises(Killed):
        send(worker(app, dynamodb=Meddled(app.aws.dynamodb, "transact_write_items", before=killed)), batch)
    assert (app.ledger(), app.available(["tea"])) == ({}, {"tea": 20})
    assert app.send(batch) == SUCCESS
    assert (app.ledger(), app.available(["tea"])) == ({"1": "RESERVED"}, {"tea": 18})


def test_a_crash_between_stock_and_mail_sends_the_mail_the_next_time(app: App) -> None:
    batch = event(placed(app, "1", tea=2))
    with pytest.raises(Killed):
        send(worker(app, topic=Meddled(app.aws.sns, "publish_batch", before=killed)), batch)
    assert (app.available(["tea"]), app.notifications()) == ({"tea": 18}, [])
    assert app.send(batch) == SUCCESS
    assert (app.available(["tea"]), app.notifications()) == ({"tea": 18}, ["order.received 1"])


def test_a_crash_after_the_mail_repeats_it_with_the_same_event_id(app: App) -> None:
    """At least once: nothing can be remembered between SNS's answer and the crash. Subscribers know it by its id."""
    batch = event(placed(app, "1", tea=2))
    with pytest.raises(Killed):
        send(worker(app, topic=Meddled(app.aws.sns, "publish_batch", after=killed)), batch)
    assert app.send(batch) == SUCCESS
    assert [body["eventId"] for body in bodies(app)] == [batch["Records"][0]["eventID"]] * 2
    assert app.available(["tea"]) == {"tea": 18}


def test_an_answer_that_is_lost_changes_nothing_the_second_time(app: App) -> None:
    order = placed(app, "1", tea=2)
    first = samples.order("1", "confirmed", tea=2)
    batch = event(order, modified(first, {**first, "status": "cancelled"}))
    states = []
    for _ in range(3):
        assert app.send(batch) == SUCCESS
        states.append((app.ledger(), app.available(["tea"])))
    assert states == [({"1": "RELEASED"}, {"tea": 20})] * 3


def test_after_a_crash_in_the_journal_nothing_is_lost(app: App) -> None:
    failing = Meddled(app.aws.dynamodb, "transact_write_items", before=throttled("2"))
    dying = Meddled(failing, "batch_write_item", before=killed)
    batch = event(shipped("0", tea=1), placed(app, "2", tea=1), shipped("3", tea=1))
    with pytest.raises(Killed):
        send(worker(app, dynamodb=dying), batch)
    assert app.send(batch) == SUCCESS
    sent = app.notifications()
    assert set(sent) == {"order.shipped 0", "order.received 2", "order.shipped 3"}
    assert (app.ledger(), app.available(["tea"])) == ({"2": "RESERVED"}, {"tea": 19})


# --- a neighbour's failure -------------------------------------------------------------------------------------------


def rest_from(whole: dict[str, list[Record]], answer: dict[str, Any]) -> dict[str, list[Record]]:
    """Return what Lambda delivers again: everything from the record that the answer names on."""
    (failure,) = answer["batchItemFailures"]
    lowest = int(failure["itemIdentifier"])
    return {"Records": [each for each in whole["Records"] if int(each["dynamodb"]["SequenceNumber"]) >= lowest]}


def journal_key(record: Record) -> str:
    return f"worker/{record['eventID']}.{record['dynamodb']['SequenceNumber']}"


def test_a_neighbours_failure_repeats_no_notification(app: App) -> None:
    failing = worker(app, dynamodb=Meddled(app.aws.dynamodb, "transact_write_items", before=throttled("2")))
    whole = event(shipped("1", tea=1), placed(app, "2", tea=2), shipped("3", tea=1), shipped("4", cup=1))

    left = rest_from(whole, send(failing, whole))
    assert left["Records"] == whole["Records"][1:]
    for _ in range(2):
        with pytest.raises(NoProgress):
            send(failing, left)
    assert sorted(app.journal()) == sorted(map(journal_key, whole["Records"][2:]))
    assert app.notifications() == ["order.shipped 1", "order.shipped 3", "order.shipped 4"], "once, in three deliveries"
    assert (app.ledger(), app.available(["tea"])) == ({}, {"tea": 20})

    assert app.send(left) == SUCCESS
    assert app.notifications() == ["order.received 2"]
    assert (app.ledger(), app.available(["tea"])) == ({"2": "RESERVED"}, {"tea": 18})


def test_what_follows_a_failed_change_of_its_order_waits_for_it(app: App) -> None:
    placing = placed(app, "2", tea=2)
    pending = samples.order("2", tea=2)
    cancelled = {**pending, "status": "cancelled"}
    whole = event(shipped("1", tea=1), placing, modified(pending, cancelled), placed(app, "3", cup=1))

    failing = worker(app, dynamodb=Meddled(app.aws.dynamodb, "transact_write_items", before=throttled("2")))
    left = rest_from(whole, send(failing, whole))
    assert len(left["Records"]) == 3
    assert "order.cancelled 2" not in app.notifications(), "the cancellation does not overtake the order"
    assert "2" not in app.ledger()

    assert app.send(left) == SUCCESS
    assert [body["type"] for body in bodies(app) if body["orderId"] == "2"] == ["order.received", "order.cancelled"]
    assert app.ledger() == {"2": "RELEASED", "3": "RESERVED"}
    assert app.available(["tea", "cup"]) == {"tea": 20, "cup": 4}


def test_a_topic_that_is_down_is_told_everything_later_and_the_stock_moves_at_once(app: App) -> None:
    def down(_request: dict[str, Any]) -> None:
        raise client_error("InternalError", "PublishBatch", status=500)

    whole = event(placed(app, "1", tea=1), placed(app, "2", tea=1))
    with pytest.raises(NoProgress):
        send(worker(app, topic=Meddled(app.aws.sns, "publish_batch", before=down)), whole)
    assert (app.available(["tea"]), app.notifications()) == ({"tea": 18}, [])
    assert app.send(whole) == SUCCESS
    assert (app.available(["tea"]), app.notifications()) == (
        {"tea": 18},
        ["order.received 1", "order.received 2"],
    )


def test_a_poison_record_above_the_checkpoint_is_stored_once(app: App) -> None:
    failing = worker(app, dynamodb=Meddled(app.aws.dynamodb, "transact_write_items", before=throttled("2")))
    whole = event(shipped("1", tea=1), placed(app, "2", tea=2), placed(app, "3", tea=0))
    left = rest_from(whole, send(failing, whole))
    assert len(app.letters()) == 1
    assert app.send(left) == SUCCESS
    assert [letter["record"] for letter in app.letters()] == [whole["Records"][2]]
