"""The AWS in memory against other people's: the same calls have the same outcomes. What they do otherwise is named.

moto always; AWS's own DynamoDB Local where DYNAMODB_LOCAL_ENDPOINT says that there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shop.orders import OrderKey, OrderLine
from shop.stock import Reserve
from shop.stock.counts import DecisionKind
from shop.stock.decisions import Decider, Tables
from shop.worker import make_worker
from tablestream import aws as aws_module
from tablestream.dynamodb.transactions import Decision, build
from tablestream.run import Sequential
from tablestream.testing import FakeClock, FakeContext, image
from tablestream.testing.expressions import UnsupportedRequest, condition, update
from tests.simulation.aws import BUCKET, INVENTORY, Aws
from tests.simulation.boto import VARIABLES
from tests.simulation.emulator_cases import CASES, GIVE, Call, key, move, put, transact
from tests.simulation.emulators import PLAIN, REGION, Compared, empty, emulated, emulators, outcome, same_items
from tests.simulation.stream import TABLE, Stream


@dataclass(frozen=True)
class Moto:
    sns: Any
    s3: Any
    topic: str


@pytest.fixture(scope="module", autouse=True)
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield


@pytest.fixture(scope="module", params=emulators())
def started(request: pytest.FixtureRequest, credentials: None) -> Iterator[Any]:  # noqa: ARG001 -- before it
    with emulated(request.param) as dynamodb:
        yield dynamodb


@pytest.fixture
def theirs(started: Any) -> Iterator[Any]:
    """A DynamoDB of somebody else, with empty tables."""
    yield started
    empty(started)


@pytest.fixture(scope="module")
def moto(credentials: None) -> Iterator[Moto]:  # noqa: ARG001 -- before it
    with mock_aws():
        clients: list[Any] = [boto3.client(name, REGION, config=PLAIN) for name in ("sns", "s3")]
        sns, s3 = clients
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Moto(sns, s3, sns.create_topic(Name="orders")["TopicArn"])


ORDER, LINES = OrderKey("USER#1", "ORDER#1"), (OrderLine("p", 2),)
PENDING = {"pk": {"S": ORDER.pk}, "sk": {"S": ORDER.sk}, "status": {"S": "pending"}, "version": {"N": "1"}}


def stock(units: int) -> dict[str, Any]:
    return {"pk": {"S": "PRODUCT#p"}, "sk": {"S": "STOCK"}, "available": {"N": str(units)}}


def decision(kind: DecisionKind) -> Decision:
    decider, reserve = Decider(Tables(TABLE, INVENTORY), 0.0), Reserve(ORDER, LINES)
    made = {
        DecisionKind.CONFIRM: decider.confirm(reserve, "e"),
        DecisionKind.REJECT: decider.reject(reserve, "e", "why"),
        DecisionKind.WITHDRAW: decider.withdraw(ORDER, "e"),
        DecisionKind.RELEASE: decider.release(ORDER, "e", LINES),
    }
    return made[kind]


@pytest.mark.parametrize("units", [5, 1])
@pytest.mark.parametrize(
    "order", [PENDING, {**PENDING, "status": {"S": "cancelled"}}, None], ids=["pending", "cancelled", "gone"]
)
@pytest.mark.parametrize(
    "kinds", [(k, j) for k in DecisionKind for j in DecisionKind], ids=lambda pair: f"{pair[0].value}-{pair[1].value}"
)
def test_what_the_inventory_sink_sends_has_the_same_outcome(
    kinds: tuple[DecisionKind, DecisionKind], order: dict[str, Any] | None, units: int, theirs: Any
) -> None:
    ours = Aws(lambda: 0.0).dynamodb
    requests: list[Call] = [("put_item", {"TableName": INVENTORY, "Item": stock(units)})]
    requests += [("put_item", {"TableName": TABLE, "Item": order})] if order else []
    for kind in kinds:
        actions, _ = build([decision(kind)])
        requests.append(transact(*actions))
    for operation, request in requests:
        assert outcome(getattr(ours, operation), request) == outcome(getattr(theirs, operation), request), operation
    for table in (INVENTORY, TABLE):
        assert same_items(ours, theirs, table)


# What AWS refuses (API reference of each operation) and moto takes.
STRICTER = frozenset({"write too many", "write one twice"})
# Of tokens moto knows nothing.
UNKNOWN_TO_MOTO = STRICTER | {
    "a token comes again",
    "a token comes again for something else",
    "sums of thirty-eight digits",
}
# A reason of its action, by the API reference of TransactWriteItems; both emulators refuse the call and name none.
UNKNOWN_TO_BOTH = frozenset({"a transaction gives to what is no number"})


@pytest.mark.parametrize("name", sorted(STRICTER))
def test_dynamodb_is_as_strict_as_aws_where_moto_is_not(name: str) -> None:
    ((operation, request),) = CASES[name]

    assert outcome(getattr(Aws(lambda: 0.0).dynamodb, operation), request) == ("ValidationException", [], None)


def test_the_topic_is_as_strict_as_aws_where_moto_is_not() -> None:
    batch = {"PublishBatchRequestEntries": entries(2, size=140_000)}

    assert outcome(Aws(lambda: 0.0).topic.publish_batch, batch) == ("BatchRequestTooLong", [], None)


@pytest.mark.parametrize("name", sorted(CASES))
def test_dynamodb_answers_as_others_do(name: str, theirs: Any, request: pytest.FixtureRequest) -> None:
    ours = Aws(lambda: 0.0).dynamodb
    told = [
        (outcome(getattr(ours, operation), sent), outcome(getattr(theirs, operation), sent))
        for operation, sent in CASES[name]
    ]
    if name in UNKNOWN_TO_BOTH or (name in UNKNOWN_TO_MOTO and "moto" in request.node.callspec.id):
        assert [ours for ours, _ in told] != [theirs for _, theirs in told] or not same_items(ours, theirs, INVENTORY)
    else:
        assert [ours for ours, _ in told] == [theirs for _, theirs in told]
        assert same_items(ours, theirs, INVENTORY)


def test_packs_of_a_hundred_actions_have_the_same_outcome(theirs: Any) -> None:
    # Thirty-six orders of three products each: some are short of stock, some are cancelled, and all come twice.
    clock, records = FakeClock(), list[Any]()
    stream = Stream(1, 10**21, clock.now, lambda _shard, record: records.append(record))

    def changed(keys: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        stream(keys, old, new)
        compared.wrote(keys, new)

    aws = Aws(clock.now, changed)
    compared = Compared(aws, theirs)
    for product in range(30):
        aws.stock(f"p{product}", 3 if product % 3 else 1)
    for stored in aws.inventory.items.values():
        compared.wrote({}, stored, INVENTORY)
    for number in range(36):
        products = [(number * 7 + line * 11) % 30 for line in range(3)]
        lines = [{"productId": f"p{product}", "quantity": 1, "price": 1} for product in products]
        placed = {"pk": f"USER#{number}", "sk": f"ORDER#{number}", "entityType": "Order", "orderId": str(number)}
        item = image({**placed, "status": "pending", "items": lines, "total": 3, "version": 1})
        aws.orders.store((placed["pk"], placed["sk"]), item)
        if number % 10 == 0:
            aws.orders.store((placed["pk"], placed["sk"]), {**item, "status": {"S": "cancelled"}})
    named = aws_module.Aws(VARIABLES, clients={"dynamodb": compared.dynamodb, "sns": aws.topic, "s3": aws.bucket})
    worker = make_worker(named, clock=clock, parallel=Sequential()).handler(named)

    for _ in range(2):
        assert worker({"Records": list(records)}, FakeContext(clock=clock)) == {"batchItemFailures": []}
        assert compared.same_items()

    assert 90 <= compared.largest <= 100
    assert compared.shown > 0
    states = [entry["state"]["S"] for entry in aws.ledger().values()]
    assert {state: states.count(state) > 0 for state in ("RESERVED", "REJECTED", "WITHDRAWN")} == {
        "RESERVED": True,
        "REJECTED": True,
        "WITHDRAWN": True,
    }


def entries(count: int, size: int = 10, ids: str = "{}") -> list[dict[str, Any]]:
    message = '{"eventId": "e"}'
    attributes = {"type": {"DataType": "String", "StringValue": "x"}}
    return [
        {"Id": ids.format(n), "Message": message + " " * size, "MessageAttributes": attributes} for n in range(count)
    ]


@pytest.mark.parametrize(
    "batch",
    [entries(1), entries(10), entries(11), entries(2, ids="same")],
    ids=["one", "ten", "eleven", "one id twice"],
)
def test_the_topic_answers_as_moto_does(batch: list[dict[str, Any]], moto: Moto) -> None:
    ours, theirs = (
        _shape(outcome(client.publish_batch, {"TopicArn": moto.topic, "PublishBatchRequestEntries": batch}))
        for client in (Aws(lambda: 0.0).topic, moto.sns)
    )

    assert ours == theirs


def _shape(answer: object) -> object:
    if not isinstance(answer, dict):
        return answer
    return {name: [entry["Id"] for entry in found] for name, found in answer.items()}


def test_the_bucket_keeps_what_moto_keeps(moto: Moto) -> None:
    ours = Aws(lambda: 0.0).bucket
    for client in (ours, moto.s3):
        for body in (b"first", b"second"):
            client.put_object(Bucket=BUCKET, Key="dead-letters/x.json", Body=body)

    assert (
        ours.objects["dead-letters/x.json"]
        == moto.s3.get_object(Bucket=BUCKET, Key="dead-letters/x.json")["Body"].read()
    )


@pytest.mark.parametrize(
    "text", ["status = :a", "contains(a, :a)", "a BETWEEN :a AND :b", "a = :a OR", "(a = :a", "a[0] = :a"]
)
def test_an_expression_beyond_the_evaluator_does_not_pass(text: str) -> None:
    with pytest.raises(UnsupportedRequest):
        condition(text)({"status": {"S": "x"}, "a": {"S": "x"}}, {}, {":a": {"S": "x"}, ":b": {"S": "x"}})


@pytest.mark.parametrize("text", ["SET state = :a", "DELETE a :a", "SET a = list_append(a, :a)", "a = :a"])
def test_an_update_beyond_the_evaluator_does_not_pass(text: str) -> None:
    with pytest.raises(UnsupportedRequest):
        update(text)({"a": {"N": "1"}}, {}, {}, {":a": {"N": "1"}})


def test_a_write_that_changes_nothing_is_not_in_the_stream() -> None:
    # moto does emit a record here, AWS does not.
    seen: list[Any] = []
    aws = Aws(lambda: 0.0, lambda keys, old, new: seen.append((keys, old, new)))
    first = {**key("a"), "x": {"S": "1"}}
    for written in (first, dict(first)):
        aws.dynamodb.put_item(TableName="orders", Item=written)

    assert seen == [(key("a"), None, first)]


def test_a_transaction_holds_its_items_while_it_runs() -> None:
    # moto knows no concurrency.
    now = [0.0]
    aws = Aws(lambda: now[0], processing=lambda: 0.01)
    aws.dynamodb.transact_write_items(TransactItems=[{"Put": put("a", 1)}], ClientRequestToken="t")

    conflict = ("TransactionCanceledException", [("TransactionConflict", None), ("None", None)], None)
    other = {"TransactItems": [{"Update": move("a", GIVE, 1)}, {"Put": put("b", 1)}]}
    assert outcome(aws.dynamodb.transact_write_items, other) == conflict
    same = {"TransactItems": [{"Put": put("a", 1)}], "ClientRequestToken": "t"}
    assert outcome(aws.dynamodb.transact_write_items, same) == ("TransactionInProgressException", [], None)
    now[0] = 0.02
    assert outcome(aws.dynamodb.transact_write_items, other) == {}
    assert outcome(aws.dynamodb.transact_write_items, same) == {}
    assert aws.inventory.items["a", "S"]["available"] == {"N": "2"}


def test_a_token_is_forgotten_after_ten_minutes() -> None:
    now = [0.0]
    aws = Aws(lambda: now[0])
    request = {"TransactItems": [{"Update": move("a", GIVE, 1)}], "ClientRequestToken": "t"}
    for at in (0.0, 599.0, 601.0):
        now[0] = at
        aws.dynamodb.transact_write_items(**request)

    assert aws.inventory.items["a", "S"]["available"] == {"N": "2"}


def test_a_token_stands_for_one_request_only() -> None:
    aws = Aws(lambda: 0.0)
    aws.dynamodb.transact_write_items(TransactItems=[{"Put": put("a", 1)}], ClientRequestToken="t")

    other = {"TransactItems": [{"Put": put("a", 2)}], "ClientRequestToken": "t"}
    assert outcome(aws.dynamodb.transact_write_items, other) == ("IdempotentParameterMismatchException", [], None)
