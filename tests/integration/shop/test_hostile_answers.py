"""Answers that AWS would not give: each concerns its own call only, and nobody knows what became of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shop.worker import make_worker
from tablestream import DeadLetter, JournalUnavailable, Run, Transient
from tablestream.aws import Aws
from tablestream.dynamodb.journal import DynamoDBJournal
from tablestream.sinks import S3DeadLetters
from tablestream.testing import FakeClock, FakeContext, event, inserted, modified
from tablestream.worker import LambdaHandler as Function
from tests.support.hostile_aws import DYNAMODBS, NOBODYS, Call, HostileAws, Reply, hostile_aws, of_dynamodb
from tests.support.orders import line, nth_order

ENVIRONMENT = {
    "TABLE_NAME": "orders",
    "INVENTORY_TABLE": "inventory",
    "JOURNAL_TABLE": "journal",
    "TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:topic",
    "FAILURES_BUCKET": "failures",
    "CONCURRENCY": "2",
}
SUCCESS: dict[str, Any] = {"batchItemFailures": []}
EMPTY = {"{} to a batch": of_dynamodb(b"{}"), "a batch without the table": of_dynamodb(b'{"Responses": {}}')}

any_answer = pytest.mark.parametrize("reply", (NOBODYS | DYNAMODBS).values(), ids=NOBODYS | DYNAMODBS)
any_batch_answer = pytest.mark.parametrize(
    "reply", (NOBODYS | DYNAMODBS | EMPTY).values(), ids=NOBODYS | DYNAMODBS | EMPTY
)
anybodys = pytest.mark.parametrize("reply", NOBODYS.values(), ids=NOBODYS)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[HostileAws, Aws]]:
    """The services and the clients that reach them, made once: to make clients takes most of a second."""
    with pytest.MonkeyPatch.context() as patch, hostile_aws() as (services, url):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        clients = Aws(ENVIRONMENT)
        make_worker(clients).handler(clients)
        assert clients.s3.meta.endpoint_url == url  # made when it is first used, which has to be here
        yield services, clients


@pytest.fixture
def aws(served: tuple[HostileAws, Aws]) -> HostileAws:
    services, _ = served
    services.reset()
    return services


@pytest.fixture
def clients(served: tuple[HostileAws, Aws]) -> Aws:
    return served[1]


@pytest.fixture
def worker(clients: Aws) -> Function:
    return make_worker(clients, clock=FakeClock()).handler(clients)


def always(reply: Reply, operation: str, mentioning: str = "") -> Callable[[Call], Reply | None]:
    return lambda call: reply if call.on(operation, mentioning) else None


def first(times: int, reply: Reply, operation: str, mentioning: str = "") -> Callable[[Call], Reply | None]:
    left = [reply] * times
    return lambda call: left.pop() if left and call.on(operation, mentioning) else None


# --- notifications ---------------------------------------------------------------------------------------------------


@anybodys
def test_of_thirty_notifications_in_three_calls_only_those_of_the_bad_one_come_again(
    aws: HostileAws, worker: Function, reply: Reply
) -> None:
    batch = event(*[inserted(nth_order(number, status="confirmed")) for number in range(30)])
    ids = [record["eventID"] for record in batch["Records"]]
    aws.answers = always(reply, "PublishBatch", ids[15])
    answer = worker(batch, FakeContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": batch["Records"][10]["dynamodb"]["SequenceNumber"]}]}
    assert dict(aws.published) == dict.fromkeys([*ids[:10], *ids[20:]], 1)

    aws.answers = lambda _: None
    assert worker({"Records": batch["Records"][10:]}, FakeContext()) == SUCCESS
    assert dict(aws.published) == dict.fromkeys(ids, 1)


def test_an_entry_that_the_answer_names_in_both_parts_or_that_was_not_sent_counts_as_untold(
    aws: HostileAws, worker: Function
) -> None:
    named = "<member><Id>{}</Id><MessageId>m</MessageId></member>"
    failed = "<member><Id>0</Id><Code>InvalidParameter</Code><SenderFault>true</SenderFault></member>"
    told = f"<Successful>{named.format(0)}{named.format(10)}{named.format('x')}</Successful><Failed>{failed}</Failed>"
    body = f"<PublishBatchResponse><PublishBatchResult>{told}</PublishBatchResult></PublishBatchResponse>".encode()
    batch = event(*[inserted(nth_order(number, status="confirmed")) for number in range(11)])
    ids = [record["eventID"] for record in batch["Records"]]
    aws.answers = first(1, Reply(200, body, {"content-type": "text/xml"}), "PublishBatch", ids[0])
    assert worker(batch, FakeContext()) == SUCCESS
    assert dict(aws.published) == dict.fromkeys(ids, 1)
    assert aws.objects == []


# --- transactions ----------------------------------------------------------------------------------------------------


@any_answer
def test_a_transaction_with_an_unknown_outcome_is_sent_again_under_its_token(
    aws: HostileAws, worker: Function, reply: Reply
) -> None:
    aws.answers = first(2, reply, "TransactWriteItems")
    assert worker(event(inserted(nth_order(1))), FakeContext()) == SUCCESS
    assert len(aws.tokens()) == 3
    assert list(aws.transactions) == [aws.tokens()[0]] == [*{*aws.tokens()}]
    assert len(aws.published) == 1


@any_answer
def test_what_was_never_answered_by_dynamodb_is_not_committed(aws: HostileAws, worker: Function, reply: Reply) -> None:
    aws.answers = always(reply, "TransactWriteItems")
    batch = event(inserted(nth_order(1, status="confirmed")), inserted(nth_order(2)))
    failed = batch["Records"][1]["dynamodb"]["SequenceNumber"]
    assert worker(batch, FakeContext()) == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert dict(aws.published) == {batch["Records"][0]["eventID"]: 1}
    assert aws.objects == []


@any_answer
def test_a_chain_with_an_unknown_outcome_leaves_the_others_done(
    aws: HostileAws, worker: Function, reply: Reply
) -> None:
    # Ninety products each: the two orders do not fit one transaction.
    orders = [nth_order(each, items=[line(f"{each}-{product}") for product in range(90)]) for each in range(2)]
    aws.answers = always(reply, "TransactWriteItems", "PRODUCT#1-0")
    batch = event(*[inserted(each) for each in orders])
    failed = batch["Records"][1]["dynamodb"]["SequenceNumber"]
    assert worker(batch, FakeContext()) == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert dict(aws.published) == {batch["Records"][0]["eventID"]: 1}


def test_reasons_of_other_actions_than_were_sent_blame_nobody(aws: HostileAws, worker: Function) -> None:
    told = b'{"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "CancellationReasons": [%s]}'
    aws.answers = first(1, of_dynamodb(told % b'{"Code": "ConditionalCheckFailed"}', 400), "TransactWriteItems")
    assert worker(event(inserted(nth_order(1))), FakeContext()) == SUCCESS
    (actions,) = aws.transactions.values()
    assert [name for action in actions for name in action] == ["Put", "Update", "Update", "Update"]


# --- reading ---------------------------------------------------------------------------------------------------------


@any_batch_answer
def test_a_ledger_item_that_could_not_be_read_is_asked_for_again(
    aws: HostileAws, worker: Function, reply: Reply
) -> None:
    aws.answers = first(2, reply, "BatchGetItem")
    assert worker(event(modified(nth_order(1), nth_order(1, status="cancelled"))), FakeContext()) == SUCCESS
    assert len(aws.transactions) == 1


@any_batch_answer
def test_a_ledger_that_cannot_be_read_is_not_taken_for_an_empty_one(
    aws: HostileAws, worker: Function, reply: Reply
) -> None:
    aws.answers = always(reply, "BatchGetItem", "inventory")
    batch = event(inserted(nth_order(1, status="confirmed")), modified(nth_order(2), nth_order(2, status="cancelled")))
    failed = batch["Records"][1]["dynamodb"]["SequenceNumber"]
    assert worker(batch, FakeContext()) == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert aws.transactions == {}
    assert dict(aws.published) == {batch["Records"][0]["eventID"]: 1}


# --- journal ---------------------------------------------------------------------------------------------------------


@any_batch_answer
def test_a_journal_that_cannot_be_read_is_not_taken_for_an_empty_one(
    aws: HostileAws, clients: Aws, reply: Reply
) -> None:
    made = DynamoDBJournal(clients.dynamodb, "journal")
    made.record({"a": frozenset({"mail:0"})}, Run(clock=FakeClock()))
    aws.answers = always(reply, "BatchGetItem")
    assert made.read(["a", "b"], Run(clock=FakeClock())) == {}
    aws.answers = first(1, reply, "BatchGetItem")
    assert made.read(["a", "b"], Run(clock=FakeClock())) == {"a": {"mail:0"}, "b": frozenset()}


@any_batch_answer
def test_a_journal_whose_writing_nobody_confirms_is_written_again(aws: HostileAws, clients: Aws, reply: Reply) -> None:
    made = DynamoDBJournal(clients.dynamodb, "journal")
    aws.answers = first(1, reply, "BatchWriteItem")
    made.record({"a": frozenset({"mail:0"})}, Run(clock=FakeClock()))
    assert list(aws.tables["journal"]) == ["a"]
    aws.answers = always(reply, "BatchWriteItem")
    with pytest.raises(JournalUnavailable):
        made.record({"b": frozenset({"mail:0"})}, Run(clock=FakeClock()))


ODD = ['{"journal": null}', '{"journal": {"Keys": [{"pk": {"S": "z"}}]}}', '{"journal": [{"PutRequest": {}}]}', "[]"]


@pytest.mark.parametrize("told", [*ODD, '{"journal": []}'])
def test_unprocessed_keys_that_were_not_asked_for_leave_the_call_unknown(
    aws: HostileAws, clients: Aws, told: str
) -> None:
    made = DynamoDBJournal(clients.dynamodb, "journal")
    answer = f'{{"Responses": {{"journal": []}}, "UnprocessedKeys": {told}}}'
    aws.answers = always(of_dynamodb(answer.encode()), "BatchGetItem")
    assert made.read(["a"], Run(clock=FakeClock())) == {}


@pytest.mark.parametrize("told", ODD)
def test_unprocessed_items_that_were_not_sent_leave_the_call_unknown(aws: HostileAws, clients: Aws, told: str) -> None:
    made = DynamoDBJournal(clients.dynamodb, "journal")
    aws.answers = first(1, of_dynamodb(f'{{"UnprocessedItems": {told}}}'.encode()), "BatchWriteItem")
    made.record({"a": frozenset({"mail:0"})}, Run(clock=FakeClock()))
    assert list(aws.tables["journal"]) == ["a"]


def test_an_entry_that_nobody_can_read_is_absent_and_leaves_the_others(aws: HostileAws, clients: Aws) -> None:
    made = DynamoDBJournal(clients.dynamodb, "journal")
    made.record({"a": frozenset({"mail:0"})}, Run(clock=FakeClock()))
    aws.tables["journal"]["b"] = {"pk": {"S": "b"}, "done": {"S": "mail:0"}}
    assert made.read(["a", "b", "c"], Run(clock=FakeClock())) == {"a": {"mail:0"}, "c": frozenset()}


# --- dead letters ----------------------------------------------------------------------------------------------------


@anybodys
def test_a_dead_letter_whose_storing_nobody_confirms_is_not_stored(aws: HostileAws, clients: Aws, reply: Reply) -> None:
    letters = [
        DeadLetter(inserted(nth_order(n)), f"e-{n}", "1", "no lines", "InvalidRecord", None, 0, "1") for n in (1, 2)
    ]
    aws.answers = always(reply, "PutObject", "e-1")
    one, other = S3DeadLetters(clients.s3, "failures").store(letters, Run(clock=FakeClock()))
    assert isinstance(one, Transient)
    assert not isinstance(other, Transient)
    assert len(aws.objects) == 1
