"""docs/batch-processor.md: one record handler under Powertools' BatchProcessor and under a worker, by Lambda's rules.

Each row of the page's table is a test here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from pydantic import BaseModel

from examples.from_batch_processor.after import after
from examples.from_batch_processor.before import before
from examples.from_batch_processor.customers import tell_customer
from tablestream import ConfigurationError, NoProgress, RecordState, Report, TablestreamError, Worker
from tablestream.testing import (
    FakeClock,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    Record,
    event,
    inserted,
    modified,
)
from tests.conformance.driver import Shard
from tests.support.mails import PARTIAL, Handler, Post, order, without_address
from tests.support.mails import deliver as deliver_to

PAGE = Path(__file__).parents[2] / "docs" / "batch-processor.md"
CUSTOMERS = ["ann", "bob", "cleo", "dan", "eve"]
MAILS = [(f"{customer}@example.com", "placed") for customer in CUSTOMERS]


def deliver(handler: Handler, batch: list[Record], **settings: Any) -> Shard:
    return deliver_to(handler, batch, (BatchProcessingError, TablestreamError), **PARTIAL | settings)


def worker(post: Post, letters: MemoryDeadLetters | None = None, **options: Any) -> Worker:
    return after(post.send, journal=MemoryJournal(), dead_letters=letters or MemoryDeadLetters(), **options)


def placed_and_shipped() -> list[Record]:
    return [inserted(order("ann")), modified(order("ann"), order("ann", "shipped"))]


def five_orders() -> list[Record]:
    return [inserted(order(customer)) for customer in CUSTOMERS]


def with_a_bad_record() -> list[Record]:
    return [inserted(order("ann")), inserted(without_address("bob")), inserted(order("cleo"))]


def numbers(batch: Any) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in batch["Records"]]


def test_where_nothing_fails_both_do_the_same() -> None:
    was, now = Post(), Post()
    deliver(before(was.send), five_orders())
    deliver(worker(now), five_orders())
    assert was.sent == now.sent == MAILS


def test_two_changes_of_an_item() -> None:
    was, now = Post({"ann@example.com": 1}), Post({"ann@example.com": 1})
    deliver(before(was.send), placed_and_shipped())
    deliver(worker(now), placed_and_shipped())
    assert [words for _, words in was.sent] == ["shipped", "placed", "shipped"]
    assert [words for _, words in now.sent] == ["placed", "shipped"]


def test_records_behind_a_failed_one() -> None:
    was, now = Post({"bob@example.com": 3}), Post({"bob@example.com": 3})
    deliver(before(was.send), five_orders())
    deliver(worker(now), five_orders())
    assert [was.sent.count(mail) for mail in MAILS] == [1, 1, 4, 4, 4]
    assert sorted(now.sent) == MAILS


def test_a_record_that_can_never_be_handled() -> None:
    was, now, letters = Post(), Post(), MemoryDeadLetters()
    tried = deliver(before(was.send), with_a_bad_record())
    once = deliver(worker(now, letters), with_a_bad_record())
    assert len(tried.invocations) > 100
    assert was.sent.count(("cleo@example.com", "placed")) > 1
    assert [discard.condition for discard in tried.discards] == ["RetryAttemptsExhausted"]
    assert (len(once.invocations), sorted(now.sent)) == (1, [MAILS[0], MAILS[2]])
    (letter,) = letters.letters.values()
    assert letter.reason == "NoAddress: the order ORDER#bob has no email"
    assert letter.record == event(*with_a_bad_record())["Records"][1]


def test_an_exception_that_is_not_named() -> None:
    was, now, letters = Post({"bob@example.com": 2}), Post({"bob@example.com": 2}), MemoryDeadLetters()
    deliver(before(was.send), five_orders())
    deliver(worker(now, letters), five_orders())
    assert was.sent.count(MAILS[1]) == now.sent.count(MAILS[1]) == 1
    assert letters.letters == {}


def test_all_records_fail() -> None:
    failing = {address: 1 for address, _ in MAILS}
    whole = event(*five_orders())
    with pytest.raises(BatchProcessingError):
        before(Post(dict(failing)).send)(whole, FakeContext())
    with pytest.raises(NoProgress):
        worker(Post(dict(failing)))(whole, FakeContext())
    one = event(inserted(order("ann")))
    with pytest.raises(BatchProcessingError):
        before(Post(dict(failing)).send)(one, FakeContext())
    answer = worker(Post(dict(failing)))(one, FakeContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers(one)[0]}]}


def test_the_answer() -> None:
    failing = {"bob@example.com": 1, "dan@example.com": 1}
    whole = event(*five_orders())
    told = before(Post(dict(failing)).send)(whole, FakeContext())
    assert told == {"batchItemFailures": [{"itemIdentifier": numbers(whole)[number]} for number in (1, 3)]}
    told = worker(Post(dict(failing)))(whole, FakeContext())
    assert told == {"batchItemFailures": [{"itemIdentifier": numbers(whole)[1]}]}


def test_the_time_of_the_function_is_short() -> None:
    def slow(clock: FakeClock, seen: list[str]) -> Callable[[str, str], None]:
        def send(address: str, _words: str) -> None:
            clock.advance(4)
            seen.append(address)

        return send

    whole, clock, was = event(*five_orders()), FakeClock(), list[str]()
    before(slow(clock, was))(whole, FakeContext(10.0, clock))
    assert (len(was), clock.now() - FakeClock().now()) == (5, 20)

    clock, now = FakeClock(), list[str]()
    stores: Any = {"journal": MemoryJournal(), "dead_letters": MemoryDeadLetters(), "clock": clock}
    answer = after(slow(clock, now), margin_seconds=2, **stores)(whole, FakeContext(10.0, clock))
    assert (len(now), clock.now() - FakeClock().now()) == (2, 8)
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers(whole)[2]}]}


class Order(BaseModel):
    """An order, as pydantic wants it."""

    email: str
    status: str


class OrderRecord(BaseModel):
    """What is told of one, in the shape of a record."""

    kind: str
    order: Order


def model(record: Any) -> OrderRecord:
    image = DynamoDBRecord(dict(record)).dynamodb
    return OrderRecord.model_validate({"kind": record["eventName"], "order": image and image.new_image})


def test_a_model_of_pydantic() -> None:
    letters, post = MemoryDeadLetters(), Post()
    made = Worker(journal=MemoryJournal(), dead_letters=letters)
    made.per_record(lambda record: post.send(record.order.email, record.order.status), record_class=model)
    shard = deliver(made, with_a_bad_record())
    assert (len(shard.invocations), sorted(post.sent)) == (1, [MAILS[0], MAILS[2]])
    assert "order.email" in letters.reasons[0]


def test_a_handler_that_wants_the_context() -> None:
    seen: list[float] = []

    def with_context(record: DynamoDBRecord, lambda_context: Any = None) -> None:
        assert record.dynamodb
        seen.append(0.0 if lambda_context is None else lambda_context.get_remaining_time_in_millis())

    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
    whole = event(inserted(order("ann")))
    context: Any = FakeContext(10.0)
    process_partial_response(whole, with_context, processor, context)
    assert seen.pop() == 10_000
    made = Worker(journal=MemoryJournal(), dead_letters=MemoryDeadLetters())
    made.per_record(with_context, record_class=DynamoDBRecord)
    made(whole, FakeContext(10.0))
    assert seen == [0.0]

    def wants(_record: DynamoDBRecord, lambda_context: Any) -> None:
        raise AssertionError(lambda_context)

    wants_it: Any = wants
    with pytest.raises(ConfigurationError, match="wanted a function of one parameter, the record"):
        Worker().per_record(wants_it)


def test_an_async_handler() -> None:
    async def record_handler(_record: DynamoDBRecord) -> None: ...

    with pytest.raises(ConfigurationError, match="wanted a plain function"):
        Worker().per_record(record_handler)


def test_hooks_for_success_and_failure() -> None:
    told: list[str] = []

    class Hooked(BatchProcessor):
        def success_handler(self, record: Any, result: Any) -> Any:
            told.append("success")
            return super().success_handler(record, result)

    post = Post({"bob@example.com": 1})
    processor = Hooked(event_type=EventType.DynamoDBStreams)
    process_partial_response(event(*five_orders()), tell_customer(post.send), processor, None)
    assert told == ["success"] * 4

    reports: list[Report] = []
    worker(Post({"bob@example.com": 1}), observe=reports.append)(event(*five_orders()), FakeContext())
    assert [(report.records, report.count(RecordState.FAILED)) for report in reports] == [(5, 1)]


def test_a_handler_that_several_threads_may_call() -> None:
    together = threading.Barrier(2)

    def meets(_record: Any) -> None:
        together.wait(60)

    made = Worker(journal=MemoryJournal(), dead_letters=MemoryDeadLetters())
    made.per_record(meets, parallel=True)
    pair = event(inserted(order("ann")), inserted(order("bob")))
    assert made(pair, FakeContext()) == {"batchItemFailures": []}


def test_every_row_of_the_table_is_a_test() -> None:
    rows = re.findall(r"^\| ([a-z][^|]*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    tests = [name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_")]
    assert rows[0] == "what"
    assert [row for row in rows[1:] if row not in tests] == []
    assert len(rows) == len(tests)  # the head stands for this test
