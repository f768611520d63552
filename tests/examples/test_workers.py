"""The short examples: each is a worker with one idea, and each does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.per_record import tell_customers
from examples.plain_table import worker as leads
from examples.two_sinks import OrderCancelled
from examples.two_sinks import worker as two_sinks
from examples.two_tables import sessions, users
from examples.webhook import tell_partner
from tablestream import InvalidEvent, Worker
from tablestream.sinks import Message
from tablestream.testing import (
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    event,
    expired,
    inserted,
    modified,
    removed,
)

LEAD = {"id": "1", "email": "ann@example.com", "owner": "bob"}
KEYS = ("id",)
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def test_a_plain_table_tells_of_leads_and_owners() -> None:
    tested = leads.tested()
    new = inserted(LEAD, keys=KEYS, table="leads")
    moved = modified(LEAD, {**LEAD, "owner": "eve"}, keys=KEYS, table="leads")
    renamed = modified(LEAD, {**LEAD, "email": "a@example.com"}, keys=KEYS, table="leads")
    assert tested.send(new, moved, renamed).effects == [
        Message({"lead": "1", "email": "ann@example.com"}, {"kind": "created"}),
        Message({"lead": "1", "from": "bob", "to": "eve"}),
    ]


def test_two_sinks_take_messages_of_two_classes() -> None:
    tested = two_sinks.tested()
    order = {"id": "7", "status": "pending"}
    changes = [
        modified(order, {**order, "status": status}, keys=KEYS, table="orders") for status in ("shipped", "cancelled")
    ]
    tested.send(*changes)
    assert tested.sinks["customers"].done == [
        Message({"order": "7", "status": "shipped"}),
        Message({"order": "7", "status": "cancelled"}),
    ]
    assert tested.sinks["warehouse"].done == [OrderCancelled({"order": "7"})]
    names = {"CUSTOMERS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:x", "JOURNAL_TABLE": "journal"}
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/x"
    two_sinks.handler({**names, "WAREHOUSE_QUEUE_URL": queue, "FAILURES_BUCKET": "failures"})
    assert [sink.takes for sink in two_sinks._sinks] == [(Message,), (OrderCancelled,)]  # noqa: SLF001 -- kept when connected


class Partner:
    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.calls: list[tuple[dict[str, str], str]] = []

    def post(self, body: str, key: str) -> int:
        self.calls.append((json.loads(body), key))
        return self.statuses.pop(0)


@pytest.mark.parametrize(("status", "failed", "dead"), [(200, 0, 0), (503, 1, 0), (410, 0, 1)])
def test_a_webhook_is_called_again_or_its_record_set_aside(status: int, failed: int, dead: int) -> None:
    partner = Partner(status)
    letters = MemoryDeadLetters()
    worker = Worker(table="orders", journal=MemoryJournal(), dead_letters=letters)
    tell_partner(worker, partner.post)
    order = {"id": "7", "status": "pending"}
    change = modified(order, {**order, "status": "shipped"}, keys=KEYS, table="orders")
    answer = worker(event(change), FakeContext())
    assert (len(answer["batchItemFailures"]), len(letters.letters)) == (failed, dead)
    assert partner.calls[0][0] == {"order": "7", "status": "shipped"}


def test_a_function_of_whole_records_keeps_the_order_of_an_item() -> None:
    sent: list[str] = []

    def send(_address: str, status: str) -> None:
        if status == "pending" and not sent:
            sent.append("failed")
            raise ConnectionError
        sent.append(status)

    letters = MemoryDeadLetters()
    worker = Worker(table="orders", journal=MemoryJournal(), dead_letters=letters)
    tell_customers(worker, send)
    order = {"id": "7", "email": "ann@example.com", "status": "pending"}
    whole = event(
        inserted({"id": "6"}, keys=KEYS, table="orders"),
        inserted(order, keys=KEYS, table="orders"),
        modified(order, {**order, "status": "shipped"}, keys=KEYS, table="orders"),
    )
    answer = worker(whole, FakeContext())
    assert answer["batchItemFailures"] == [{"itemIdentifier": whole["Records"][1]["dynamodb"]["SequenceNumber"]}]
    worker({"Records": whole["Records"][1:]}, FakeContext())
    assert sent == ["failed", "pending", "shipped"]
    assert letters.reasons == ["email: wanted an address, got none"]


def test_two_workers_share_their_handlers_and_take_records_of_their_own_table_only() -> None:
    item = {"id": "1"}
    for worker, table in ((users, "users"), (sessions, "sessions")):
        told = worker.tested().send(removed(item, keys=KEYS, table=table)).effects
        assert told == [Message({"id": "1"}, {"kind": "removed"})]
    told = sessions.tested().send(expired(item, keys=KEYS, table="sessions")).effects
    assert told == [Message({"id": "1"}, {"kind": "expired"})]
    with pytest.raises(InvalidEvent, match="wanted records of the table users"):
        users.tested().send(removed(item, keys=KEYS, table="sessions"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_one_idea_in_few_lines(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 40
