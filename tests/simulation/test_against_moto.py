"""The AWS in memory against moto: the same calls have the same outcomes. What moto does otherwise is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from shop.orders import OrderKey, OrderLine
from shop.stock import Reserve
from shop.stock.counts import DecisionKind
from shop.stock.decisions import Decider, Tables
from tablestream.dynamodb.transactions import Decision, build
from tests.simulation.aws import BUCKET, INVENTORY, JOURNAL, Aws
from tests.simulation.expressions import UnknownExpression, condition, update
from tests.simulation.moto_cases import CASES, GIVE, Call, key, move, put, transact
from tests.simulation.stream import TABLE

REGION = "eu-central-1"
# The worker's clients do not check parameters either.
PLAIN = Config(parameter_validation=False, retries={"total_max_attempts": 1, "mode": "standard"})


@dataclass(frozen=True)
class Moto:
    dynamodb: Any
    sns: Any
    s3: Any
    topic: str


@pytest.fixture(scope="module")
def service() -> Iterator[Moto]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        clients: list[Any] = [boto3.client(name, REGION, config=PLAIN) for name in ("dynamodb", "sns", "s3")]
        dynamodb, sns, s3 = clients
        for table, names in ((INVENTORY, ("pk", "sk")), (TABLE, ("pk", "sk")), (JOURNAL, ("pk",))):
            schema = [{"AttributeName": n, "KeyType": kind} for n, kind in zip(names, ("HASH", "RANGE"), strict=False)]
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
                KeySchema=schema,
            )
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Moto(dynamodb, sns, s3, sns.create_topic(Name="orders")["TopicArn"])


@pytest.fixture
def moto(service: Moto) -> Iterator[Moto]:
    yield service
    for table in (INVENTORY, TABLE):
        for found in service.dynamodb.scan(TableName=table)["Items"]:
            service.dynamodb.delete_item(TableName=table, Key={"pk": found["pk"], "sk": found["sk"]})


def outcome(call: Callable[..., Mapping[str, Any]], request: Mapping[str, Any]) -> object:
    """What a caller can tell: the answer, or the error with its reasons; not the wording."""
    try:
        answer = dict(call(**request))
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", ())
        told: list[Any] = [(reason.get("Code"), reason.get("Item") or None) for reason in reasons]
        return error.response["Error"]["Code"], told, error.response.get("Item")
    unasked = {"ResponseMetadata", "ConsumedCapacity"}
    return {name: value for name, value in answer.items() if value and name not in unasked}


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
    kinds: tuple[DecisionKind, DecisionKind], order: dict[str, Any] | None, units: int, moto: Moto
) -> None:
    ours = Aws(lambda: 0.0).dynamodb
    requests: list[Call] = [("put_item", {"TableName": INVENTORY, "Item": stock(units)})]
    requests += [("put_item", {"TableName": TABLE, "Item": order})] if order else []
    for kind in kinds:
        actions, _ = build([decision(kind)])
        requests.append(transact(*actions))
    for operation, request in requests:
        assert outcome(getattr(ours, operation), request) == outcome(getattr(moto.dynamodb, operation), request), (
            operation
        )
    for table in (INVENTORY, TABLE):
        theirs = moto.dynamodb.scan(TableName=table)["Items"]
        assert sorted(ours.tables[table].items.values(), key=repr) == sorted(theirs, key=repr)


# What AWS refuses (API reference of each operation) and moto takes.
STRICTER = frozenset({"write too many", "write one twice"})


@pytest.mark.parametrize("name", sorted(STRICTER))
def test_dynamodb_is_as_strict_as_aws_where_moto_is_not(name: str) -> None:
    ((operation, request),) = CASES[name]

    assert outcome(getattr(Aws(lambda: 0.0).dynamodb, operation), request) == ("ValidationException", [], None)


def test_the_topic_is_as_strict_as_aws_where_moto_is_not() -> None:
    batch = {"PublishBatchRequestEntries": entries(2, size=140_000)}

    assert outcome(Aws(lambda: 0.0).topic.publish_batch, batch) == ("BatchRequestTooLong", [], None)


@pytest.mark.parametrize("name", sorted(CASES.keys() - STRICTER))
def test_dynamodb_answers_as_moto_does(name: str, moto: Moto) -> None:
    ours = Aws(lambda: 0.0).dynamodb
    for operation, request in CASES[name]:
        assert outcome(getattr(ours, operation), request) == outcome(getattr(moto.dynamodb, operation), request), (
            operation
        )

    theirs = moto.dynamodb.scan(TableName=INVENTORY)["Items"]
    assert sorted(ours.tables[INVENTORY].items.values(), key=repr) == sorted(theirs, key=repr)


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
    with pytest.raises(UnknownExpression):
        condition(text)({"status": {"S": "x"}, "a": {"S": "x"}}, {}, {":a": {"S": "x"}, ":b": {"S": "x"}})


@pytest.mark.parametrize("text", ["SET state = :a", "DELETE a :a", "SET a = list_append(a, :a)", "a = :a"])
def test_an_update_beyond_the_evaluator_does_not_pass(text: str) -> None:
    with pytest.raises(UnknownExpression):
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
