"""moto's transactions and answers, as `correct_moto` mends them; docs/moto/ has both as changes of moto itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from moto import backends, mock_aws
from moto.core import responses
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import SERVICE_SPECIFIC_SERIALIZERS
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import StreamShard

from tablestream.dynamodb import Index, Table
from tablestream.local.cloud.server import Server
from tablestream.local.trigger.moto_quirks import correct_moto

CHANGES = Path(__file__).parents[3] / "docs" / "moto"
NEVER: dict[str, Any] = {"ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(pk)"}
SETTINGS: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "config": Config(account_id_endpoint_mode="disabled"),
}


class World:
    """A table with a stream, whose items are told apart by one word; `keys` are its key attributes' names."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.dynamodb: Any = boto3.client("dynamodb", **SETTINGS)
        self.streams: Any = boto3.client("dynamodbstreams", **SETTINGS)
        schema: Any = [
            {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ]
        described = self.dynamodb.create_table(
            TableName="table",
            KeySchema=schema,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        self.arn: str = described["TableArn"]
        self.stream: str = described["LatestStreamArn"]

    def key(self, word: str) -> dict[str, Any]:
        """With two key attributes all items have the first one in common."""
        return {key: {"S": value} for key, value in zip(self.keys[::-1], (word, "common"), strict=False)}

    def put(self, *words: str) -> None:
        for word in words:
            item = {**self.key(word), "list": {"L": [{"S": word}]}}
            self.dynamodb.put_item(TableName="table", Item=item)

    def items(self) -> Any:
        return self.dynamodb.scan(TableName="table")["Items"]

    def iterator(self) -> str:
        (shard,) = self.streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]
        found = self.streams.get_shard_iterator(
            StreamArn=self.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        return str(found["ShardIterator"])

    def changes(self, iterator: str) -> list[tuple[str, str]]:
        records = self.streams.get_records(ShardIterator=iterator)["Records"]
        return [(record["eventName"], record["dynamodb"]["Keys"][self.keys[-1]]["S"]) for record in records]

    def transact(self, *actions: tuple[str, str], table: str = "table") -> None:
        self.dynamodb.transact_write_items(TransactItems=[self.action(kind, word, table) for kind, word in actions])

    def action(self, kind: str, word: str, table: str) -> dict[str, Any]:
        update: dict[str, Any] = {
            "UpdateExpression": "SET #list[0] = :new",
            "ExpressionAttributeNames": {"#list": "list"},
            "ExpressionAttributeValues": {":new": {"S": "new"}},
        }
        further: dict[str, Any] = {"Update": update, "ConditionCheck": NEVER}.get(kind, {})
        return {kind: {"TableName": table, "Item" if kind == "Put" else "Key": self.key(word), **further}}


@pytest.fixture(params=[("pk",), ("pk", "sk")], ids=["hash", "hash and range"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    correct_moto()
    with mock_aws():
        yield World(request.param)


ALL_KINDS = (("Delete", "a"), ("Update", "b"), ("Put", "c"), ("Put", "d"))
CANCELLED = (*ALL_KINDS, ("ConditionCheck", "nobody"))


@pytest.mark.parametrize("by", ["name", "ARN"])
def test_a_cancelled_transaction_leaves_items_their_order_and_the_stream_as_they_were(world: World, by: str) -> None:
    world.put("a", "b", "c")
    before, iterator = world.items(), world.iterator()
    with pytest.raises(world.dynamodb.exceptions.TransactionCanceledException):
        world.transact(*CANCELLED, table="table" if by == "name" else world.arn)
    assert world.items() == before
    world.put("e")
    assert world.changes(iterator) == [("INSERT", word) for word in "abce"]
    assert world.changes(world.iterator()) == [("INSERT", word) for word in "abce"]


def test_a_transaction_that_moto_refuses_half_way_changes_nothing(world: World) -> None:
    world.put("a", "b", "c")
    before, iterator = world.items(), world.iterator()
    with pytest.raises(world.dynamodb.exceptions.ClientError, match="multiple operations on one item"):
        world.transact(*ALL_KINDS, ("Delete", "c"))
    assert world.items() == before
    assert world.changes(iterator) == [("INSERT", word) for word in "abc"]


def test_a_transaction_of_a_table_that_is_not_there_changes_nothing(world: World) -> None:
    world.put("a", "b", "c")
    before = world.items()
    lost = {"Delete": {"TableName": "elsewhere", "Key": world.key("a")}}
    with pytest.raises(world.dynamodb.exceptions.ClientError):
        world.dynamodb.transact_write_items(TransactItems=[world.action("Put", "d", "table"), lost])
    assert world.items() == before


def test_a_transaction_that_is_carried_out_changes_everything(world: World) -> None:
    world.put("a", "b", "c")
    world.transact(*ALL_KINDS)
    expected = [{**world.key("b"), "list": {"L": [{"S": "new"}]}}, world.key("c"), world.key("d")]
    assert world.items() == expected
    changes = [("REMOVE", "a"), ("MODIFY", "b"), ("MODIFY", "c"), ("INSERT", "d")]
    assert world.changes(world.iterator())[3:] == changes


def test_a_transaction_copies_no_more_of_a_large_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0
    original = Item.__deepcopy__

    def counting(item: Item, memo: dict[int, Any]) -> Item:
        nonlocal copied
        copied += 1
        return original(item, memo)

    monkeypatch.setattr(Item, "__deepcopy__", counting)
    figures = []
    for words in ("abc", "efghijklmnopqrstuvwxyz"):
        world.put(*words)
        copied = 0
        world.transact(("Update", words[0]), ("Put", words[1]))
        figures.append(copied)
    assert figures[0] == figures[1] > 0


def test_moto_itself_still_shows_what_was_never_committed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    own = DynamoDBBackend.transact_write_items.__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setattr(DynamoDBBackend, "transact_write_items", own)
    world.put("a", "b", "c")
    iterator = world.iterator()
    with pytest.raises(world.dynamodb.exceptions.TransactionCanceledException):
        world.transact(*CANCELLED)
    assert len(world.changes(iterator)) > 3, "moto has learned it: correct_moto need not wrap transactions any more"


@pytest.mark.parametrize(("owner", "method"), [(StreamShard, "add"), (DynamoDBBackend, "update_item")])
def test_moto_itself_still_makes_records_of_no_change(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    update: dict[str, Any] = {
        "UpdateExpression": "SET title = :new",
        "ExpressionAttributeValues": {":new": {"S": "new"}},
    }
    monkeypatch.setattr(owner, method, getattr(owner, method).__wrapped__)
    for _ in range(2):
        world.dynamodb.update_item(TableName="table", Key=world.key("a"), **update)
    assert len(world.changes(world.iterator())) > 1, f"moto has learned it: {method} need not be wrapped"


def test_the_end_of_a_stream_changes_with_every_record_also_when_their_number_does_not() -> None:
    server = Server()
    try:
        dynamodb: Any = boto3.client("dynamodb", endpoint_url=server.endpoint, **SETTINGS)
        made = dynamodb.create_table(
            TableName="table",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
        arn = made["TableDescription"]["LatestStreamArn"]
        seen = [server.streams.end(arn)]
        shard = dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].tables["table"].stream_shard
        assert shard is not None
        for _ in range(2):
            dynamodb.put_item(TableName="table", Item={"pk": {"S": "a"}})
            seen.append(server.streams.end(arn))
            dynamodb.delete_item(TableName="table", Key={"pk": {"S": "a"}})
            shard.items.clear()  # as when a transaction is taken back
        assert server.streams.end(arn) == server.streams.end(arn)
        assert all(one != other for one, other in combinations(seen, 2))
        for other in (
            arn.replace("table/table", "table/other"),
            arn.replace("us-east-1", "nowhere"),
            "no ARN",
            arn[:40],
        ):
            assert server.streams.end(other) is None
    finally:
        server.close()


def test_answers_are_those_that_moto_itself_gives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = {
        "S": "text",
        "N": "-1.5",
        "B": b"\x00\xff",
        "BOOL": False,
        "NULL": True,
        "SS": ["a", "b"],
        "NS": ["1", "2"],
        "BS": [b"\x00", b"\x01"],
    }
    each = {kind.lower(): {kind: value} for kind, value in leaves.items()}
    item = {**each, "l": {"L": [*each.values(), {"M": each}, {"L": []}]}, "m": {"M": {**each, "m": {"M": {}}}}}
    world.dynamodb.put_item(TableName="table", Item={**item, **world.key("a")})
    asked = {"TableName": "table", "Key": world.key("a")}
    answers = [world.dynamodb.get_item(**asked)["Item"], _new_image(world)]
    for service in ("dynamodb", "dynamodbstreams"):
        monkeypatch.delitem(SERVICE_SPECIFIC_SERIALIZERS, service)
    assert [world.dynamodb.get_item(**asked)["Item"], _new_image(world)] == answers
    assert answers[0] == {**item, **world.key("a")}


def _new_image(world: World) -> Any:
    (record,) = world.streams.get_records(ShardIterator=world.iterator())["Records"]
    return record["dynamodb"]["NewImage"]


@pytest.mark.parametrize(
    ("module", "name", "asked"),
    [(backends, "list_of_moto_modules", ()), (responses, "method_names_from_class", (DynamoDBBackend,))],
)
def test_names_that_cannot_change_are_looked_up_once(module: Any, name: str, asked: tuple[object, ...]) -> None:
    correct_moto()
    look_up = getattr(module, name)
    correct_moto()
    assert getattr(module, name) is look_up
    assert look_up(*asked) is look_up(*asked)
    assert [*look_up.__wrapped__(*asked)] == [*look_up(*asked)]


@pytest.mark.parametrize("change", sorted(CHANGES.glob("*.patch")), ids=lambda path: path.stem)
def test_what_is_offered_to_moto_fits_the_moto_that_is_used(change: Path) -> None:
    files = re.split(r"^diff --git .*\n", change.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    of_moto = [text for text in files if text.startswith("--- a/moto/")]
    assert of_moto
    for text in of_moto:
        header, *hunks = re.split(r"^@@ .*\n", text, flags=re.MULTILINE)
        name = header.splitlines()[0].removeprefix("--- a/moto/")
        source = (Path(moto.__file__).parent / name).read_text(encoding="utf-8")
        for hunk in hunks:
            old = "".join(f"{line[1:]}\n" for line in hunk.splitlines() if not line.startswith("+"))
            assert old in source, f"{name} has changed: see whether moto has learned it"


def test_a_local_index_gives_whole_items_though_it_holds_keys() -> None:
    with mock_aws():
        correct_moto()
        dynamodb: Any = boto3.client("dynamodb", **SETTINGS)
        keys: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        by_time = [keys[0], {"AttributeName": "time", "KeyType": "RANGE"}]
        dynamodb.create_table(
            TableName="table",
            KeySchema=keys,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "time")],
            LocalSecondaryIndexes=[
                {"IndexName": "byTime", "KeySchema": by_time, "Projection": {"ProjectionType": "KEYS_ONLY"}}
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        item = {name: {"S": name} for name in ("pk", "sk", "time", "more")}
        dynamodb.put_item(TableName="table", Item=item)
        table = Table("table", dynamodb, indexes={"byTime": Index("pk", "time", local=True)})

        page = table.query(Key("pk").eq("pk"), index="byTime")

        assert page.items == [{name: name for name in ("pk", "sk", "time", "more")}]
