"""The loops of docs/why.md under Lambda's delivery rules: what each does with a failure, a bad record and an outage."""

from __future__ import annotations

from typing import Any

from examples.why.collecting import collecting
from examples.why.ours import ours
from examples.why.raising import raising
from tablestream import TablestreamError
from tablestream.local.delivery.on_failure import OnFailureContext, on_failure_record
from tablestream.testing import MemoryDeadLetters, MemoryJournal, Record, event, inserted, modified
from tests.conformance.driver import Shard
from tests.support.mails import PARTIAL, Handler, Post, order, without_address
from tests.support.mails import deliver as deliver_to

ERRORS = (ConnectionError, KeyError, TablestreamError)


def deliver(handler: Handler, batch: list[Record], **settings: Any) -> Shard:
    return deliver_to(handler, batch, ERRORS, **settings)


def placed_and_shipped() -> list[Record]:
    return [inserted(order("ann")), modified(order("ann"), order("ann", "shipped"))]


def test_order_a_loop_that_goes_on_tells_the_second_change_before_the_first() -> None:
    post = Post({"ann@example.com": 1})
    deliver(collecting(post.send), placed_and_shipped(), **PARTIAL)
    assert [words for _, words in post.sent] == ["shipped", "placed", "shipped"]


def test_order_ours_waits_with_the_second_change_until_the_first_is_told() -> None:
    post = Post({"ann@example.com": 1})
    deliver(ours(post.send, MemoryJournal(), MemoryDeadLetters()), placed_and_shipped(), **PARTIAL)
    assert [words for _, words in post.sent] == ["placed", "shipped"]


CUSTOMERS = ["ann", "bob", "cleo", "dan", "eve"]
MAILS = [(f"{customer}@example.com", "placed") for customer in CUSTOMERS]


def five_orders() -> list[Record]:
    return [inserted(order(customer)) for customer in CUSTOMERS]


def test_repeats_a_loop_that_goes_on_writes_to_the_others_again_with_every_retry() -> None:
    post = Post({"bob@example.com": 3})
    deliver(collecting(post.send), five_orders(), **PARTIAL)
    assert [post.sent.count(mail) for mail in MAILS] == [1, 1, 4, 4, 4]


def test_repeats_a_loop_that_raises_writes_to_those_before_again() -> None:
    post = Post({"dan@example.com": 3})
    deliver(raising(post.send), five_orders())
    assert [post.sent.count(mail) for mail in MAILS] == [4, 4, 4, 1, 1]


def test_repeats_ours_writes_to_everybody_once() -> None:
    post = Post({"bob@example.com": 3})
    deliver(ours(post.send, MemoryJournal(), MemoryDeadLetters()), five_orders(), **PARTIAL)
    assert sorted(post.sent) == MAILS


def with_a_bad_record() -> list[Record]:
    return [inserted(order("ann")), inserted(without_address("bob")), inserted(order("cleo"))]


def test_poison_a_loop_that_raises_stands_still_until_the_stream_has_forgotten_the_record() -> None:
    post = Post()
    shard = deliver(raising(post.send), with_a_bad_record())
    assert ("cleo@example.com", "placed") not in post.sent
    assert post.sent.count(("ann@example.com", "placed")) == len(shard.invocations) > 1000
    assert [str(discard.condition) for discard in shard.discards] == ["RecordsTrimmed"]


def test_poison_a_loop_that_goes_on_tries_the_record_a_hundred_times_and_repeats_what_is_behind_it() -> None:
    post = Post()
    shard = deliver(collecting(post.send), with_a_bad_record(), **PARTIAL)
    assert post.sent.count(("cleo@example.com", "placed")) > 1
    assert len(shard.invocations) > 100


def test_poison_ours_sets_the_record_aside_at_once() -> None:
    post, letters = Post(), MemoryDeadLetters()
    shard = deliver(ours(post.send, MemoryJournal(), letters), with_a_bad_record(), **PARTIAL)
    assert sorted(post.sent) == [MAILS[0], MAILS[2]]
    assert len(shard.invocations) == 1
    assert letters.reasons == ["email: wanted a value, got none; the item has pk, sk, status"]


def test_payloads_what_lambda_tells_a_queue_does_not_hold_the_record() -> None:
    shard = deliver(raising(Post().send), with_a_bad_record(), bisect=True, max_retries=3)
    (discard,) = shard.discards
    message = on_failure_record(
        discard, OnFailureContext("request", "arn:aws:lambda:eu-west-1:111122223333:function:f"), 0
    )
    batch = message["DDBStreamBatchInfo"]
    assert (batch["startSequenceNumber"], batch["batchSize"]) == (discard.records[0]["dynamodb"]["SequenceNumber"], 1)
    assert "bob" not in str(message)


def test_payloads_a_dead_letter_holds_the_whole_record() -> None:
    letters = MemoryDeadLetters()
    deliver(ours(Post().send, MemoryJournal(), letters), with_a_bad_record(), **PARTIAL)
    (letter,) = letters.letters.values()
    assert letter.record == event(*with_a_bad_record())["Records"][1]
