"""Rules 5, 6 and 36: one contract for every source of stream records, and what only a synthetic one can show.

The contract runs over the synthetic source, over the embedded AWS as `make local` reads it (by HTTP, its records
corrected), and over the DynamoDB Local that DYNAMODB_LOCAL_ENDPOINT names.
Only that variable says so: whatever else listens on this machine is not ours to write to.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.config import Config
from moto import mock_aws

from tablestream.dynamodb.items import record_bytes
from tablestream.local.cloud.server import Server
from tablestream.local.delivery.protocol import LambdaRecord
from tablestream.local.delivery.shard import Shard
from tablestream.local.trigger.memory_stream import MemoryStream
from tablestream.local.trigger.moto_quirks import Corrections
from tablestream.local.trigger.stream import (
    PAGE_LIMIT,
    After,
    BotoStream,
    IteratorExpired,
    Position,
    RecordPage,
    RecordsTrimmed,
    StreamGone,
    StreamSource,
    TrimHorizon,
)
from tablestream.testing import inserted, modified, removed
from tests.conformance.driver import record, records

DYNAMODB_LOCAL = os.environ.get("DYNAMODB_LOCAL_ENDPOINT", "")
ARRIVAL_LOOKS, ARRIVAL_SECONDS = 3, 0.05
NOWHERE = "arn:aws:dynamodb:us-east-1:123456789012:table/none/stream/2026-01-01T00:00:00.000"


class Table(Protocol):
    """A table with keys pk and sk, and the source of its stream."""

    @property
    def source(self) -> StreamSource: ...
    def put(self, item: dict[str, Any]) -> None: ...
    def delete(self, item: dict[str, Any]) -> None: ...


@dataclass
class SyntheticTable:
    source: MemoryStream = field(default_factory=MemoryStream)
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    next_number: int = 10**20

    def __post_init__(self) -> None:
        self.source.open("shard-1")

    def put(self, item: dict[str, Any]) -> None:
        old = self.items.get((item["pk"], item["sk"]))
        self.items[item["pk"], item["sk"]] = item
        if old != item:
            self._write(inserted, item) if old is None else self._write(modified, old, item)

    def delete(self, item: dict[str, Any]) -> None:
        self._write(removed, self.items.pop((item["pk"], item["sk"])))

    def _write(self, build: Callable[..., LambdaRecord], *items: dict[str, Any]) -> None:
        self.next_number += 1
        self.source.append("shard-1", [build(*items, sequence_number=self.next_number)])


@dataclass
class BotoTable:
    client: Any
    name: str
    source: StreamSource

    def put(self, item: dict[str, Any]) -> None:
        self.client.put_item(TableName=self.name, Item=_tagged(item))

    def delete(self, item: dict[str, Any]) -> None:
        key = {name: item[name] for name in ("pk", "sk")}
        self.client.delete_item(TableName=self.name, Key=_tagged(key))


def _tagged(item: dict[str, Any]) -> dict[str, Any]:
    """As boto3 wants it: bytes are bytes."""
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def clients(endpoint: str | None) -> tuple[Any, Any]:
    """Clients of DynamoDB and of its streams."""
    settings: dict[str, Any] = {
        "region_name": "us-east-1",
        "endpoint_url": endpoint,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "config": Config(account_id_endpoint_mode="disabled", retries={"max_attempts": 1}),
    }
    return boto3.client("dynamodb", **settings), boto3.client("dynamodbstreams", **settings)


@dataclass
class Corrected:
    """A source with its records corrected, as the trigger delivers them."""

    source: BotoStream
    correct: Corrections = field(default_factory=Corrections)

    @property
    def stream_arn(self) -> str:
        return self.source.stream_arn

    def shards(self) -> Sequence[Shard]:
        return self.source.shards()

    def latest(self, shard_id: str) -> Position:
        return self.source.latest(shard_id)

    def read(self, shard_id: str, position: Position, limit: int = PAGE_LIMIT) -> RecordPage:
        page = self.source.read(shard_id, position, limit)
        return replace(page, records=self.correct(page.records))


def boto_table(server: Server | str, view: str = "NEW_AND_OLD_IMAGES") -> BotoTable:
    """A table of the embedded AWS, read as `make local` does, or of the DynamoDB Local at this URL."""
    endpoint = server.endpoint if isinstance(server, Server) else server
    client, streams = clients(endpoint)
    name = f"contract-{uuid.uuid4().hex}"
    made = client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
    )
    arn = made["TableDescription"]["LatestStreamArn"]
    if isinstance(server, Server):
        return BotoTable(client, name, Corrected(BotoStream(streams, arn, end=server.streams.end)))
    return BotoTable(client, name, BotoStream(streams, arn, follow=True))


@pytest.fixture(scope="module")
def embedded() -> Iterator[Server]:
    """The embedded AWS."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(params=["synthetic", "embedded", *(["dynamodb-local"] if DYNAMODB_LOCAL else [])])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "synthetic":
        yield SyntheticTable()
    elif request.param == "embedded":
        yield boto_table(request.getfixturevalue("embedded"))
    else:
        made = boto_table(DYNAMODB_LOCAL)
        yield made
        made.client.delete_table(TableName=made.name)


VIEWS = {
    "NEW_AND_OLD_IMAGES": {"NewImage", "OldImage"},
    "NEW_IMAGE": {"NewImage"},
    "OLD_IMAGE": {"OldImage"},
    "KEYS_ONLY": set[str](),
}


@pytest.fixture(params=["embedded", *(["dynamodb-local"] if DYNAMODB_LOCAL else [])])
def viewed(request: pytest.FixtureRequest, view: str) -> Iterator[BotoTable]:
    """A table of a server, whose stream shows what `view` says."""
    made = boto_table(request.getfixturevalue("embedded") if request.param == "embedded" else DYNAMODB_LOCAL, view)
    yield made
    made.client.delete_table(TableName=made.name)


def read_all(source: StreamSource, start: Position | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    """Everything behind a position, page by page, of the one shard the table has."""
    (shard,) = source.shards()
    position, found = start or TrimHorizon(), list[Any]()
    while page := patiently(source, shard.shard_id, position, limit):
        found += page
        position = After(page[-1]["dynamodb"]["SequenceNumber"])
    return found


def patiently(source: StreamSource, shard_id: str, position: Position, limit: int) -> Sequence[LambdaRecord]:
    """A page; of a server that is not in this process also one whose records arrive a moment after their write."""
    for _ in range(ARRIVAL_LOOKS if isinstance(source, BotoStream) and source.follow else 0):
        if page := source.read(shard_id, position, limit).records:
            return page
        time.sleep(ARRIVAL_SECONDS)
    return source.read(shard_id, position, limit).records


def item(number: int, **attributes: object) -> dict[str, Any]:
    return {"pk": f"P#{number}", "sk": "S", **attributes}


def test_rule_36_each_change_is_in_the_stream_once_and_in_order(table: Table) -> None:
    table.put(item(1, n=1))
    table.put(item(1, n=2))
    table.put(item(2, n=1))
    table.delete(item(1))
    found = read_all(table.source)
    changes = [(one["eventName"], one["dynamodb"]["Keys"]["pk"]["S"]) for one in found]
    assert changes == [("INSERT", "P#1"), ("MODIFY", "P#1"), ("INSERT", "P#2"), ("REMOVE", "P#1")]
    sequence = [int(one["dynamodb"]["SequenceNumber"]) for one in found]
    assert sequence == sorted(set(sequence))


def test_rule_36_images_follow_one_another(table: Table) -> None:
    for n in range(4):
        table.put(item(1, n=n))
    found = [one["dynamodb"] for one in read_all(table.source)]
    assert [one["NewImage"]["n"]["N"] for one in found] == ["0", "1", "2", "3"]
    assert [one["OldImage"] for one in found[1:]] == [one["NewImage"] for one in found[:-1]]


def test_rule_36_a_write_that_changes_nothing_makes_no_record(table: Table) -> None:
    table.put(item(1, n=1))
    table.put(item(1, n=1))
    assert len(read_all(table.source)) == 1


KEY: dict[str, Any] = {"pk": {"S": "P#1"}, "sk": {"S": "S"}}
WHOLE: dict[str, Any] = {
    **KEY,
    "n": {"N": "1"},
    "set": {"SS": ["x", "y"]},
    "numbers": {"NS": ["1", "2"]},
    "map": {"M": {"list": {"L": [{"N": "1"}, {"B": b"\x00"}]}}},
}
SAME = {**WHOLE, "n": {"N": "1.0"}, "set": {"SS": ["y", "x"]}, "numbers": {"NS": ["2", "1.0"]}}
SET_N = "SET n = :n"
UPDATE_N = 'UPDATE "{}" SET n = ? WHERE pk = ? AND sk = ?'
DELETE = """DELETE FROM "{}" WHERE pk = 'P#1' AND sk = 'S'"""  # the embedded AWS knows no parameters here
ONE, ZERO = {":n": {"N": "1"}}, {":n": {"N": "0"}}
OF_KEY = [*KEY.values()]

Write = Callable[[Any, str], object]  # by a client, to the table of this name
CHANGE_NOTHING: dict[str, Write] = {
    "put": lambda client, name: client.put_item(TableName=name, Item=WHOLE),
    "put, otherwise written": lambda client, name: client.put_item(TableName=name, Item=SAME),
    "update": lambda client, name: client.update_item(
        TableName=name, Key=KEY, UpdateExpression=SET_N, ExpressionAttributeValues=ONE
    ),
    "update of nothing": lambda client, name: client.update_item(TableName=name, Key=KEY),
    "update by 0": lambda client, name: client.update_item(
        TableName=name, Key=KEY, UpdateExpression="ADD n :n", ExpressionAttributeValues=ZERO
    ),
    "removal of no attribute": lambda client, name: client.update_item(
        TableName=name, Key=KEY, UpdateExpression="REMOVE nowhere"
    ),
    "batch": lambda client, name: client.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": WHOLE}}]}),
    "transaction, put": lambda client, name: client.transact_write_items(
        TransactItems=[{"Put": {"TableName": name, "Item": WHOLE}}]
    ),
    "transaction, update": lambda client, name: client.transact_write_items(
        TransactItems=[
            {"Update": {"TableName": name, "Key": KEY, "UpdateExpression": SET_N, "ExpressionAttributeValues": ONE}}
        ]
    ),
    "PartiQL": lambda client, name: client.execute_statement(
        Statement=UPDATE_N.format(name), Parameters=[{"N": "1"}, *OF_KEY]
    ),
    "PartiQL, batch": lambda client, name: client.batch_execute_statement(
        Statements=[{"Statement": UPDATE_N.format(name), "Parameters": [{"N": "1"}, *OF_KEY]}]
    ),
}
REMOVE_NOTHING: dict[str, Write] = {
    "delete": lambda client, name: client.delete_item(TableName=name, Key=KEY),
    "batch": lambda client, name: client.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": KEY}}]}),
    "transaction": lambda client, name: client.transact_write_items(
        TransactItems=[{"Delete": {"TableName": name, "Key": KEY}}]
    ),
    "PartiQL": lambda client, name: client.execute_statement(Statement=DELETE.format(name)),
}


def seen(table: BotoTable) -> list[tuple[str, set[str]]]:
    """The records' kinds, with the images that each has."""
    found = read_all(table.source)
    return [(one["eventName"], {"NewImage", "OldImage"} & one["dynamodb"].keys()) for one in found]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("write", CHANGE_NOTHING)
def test_rule_36_whatever_the_view_and_the_write_what_changes_nothing_makes_no_record(
    viewed: BotoTable, view: str, write: str
) -> None:
    viewed.client.put_item(TableName=viewed.name, Item=WHOLE)
    CHANGE_NOTHING[write](viewed.client, viewed.name)
    assert seen(viewed) == [("INSERT", VIEWS[view] - {"OldImage"})]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("write", REMOVE_NOTHING)
def test_rule_36_the_removal_of_what_is_not_there_makes_no_record(viewed: BotoTable, view: str, write: str) -> None:
    viewed.client.put_item(TableName=viewed.name, Item=WHOLE)
    REMOVE_NOTHING[write](viewed.client, viewed.name)
    REMOVE_NOTHING[write](viewed.client, viewed.name)
    assert seen(viewed) == [("INSERT", VIEWS[view] - {"OldImage"}), ("REMOVE", VIEWS[view] - {"NewImage"})]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "value", [{"N": "2"}, {"N": "1.0000000000000000000000000000000000001"}, {"S": "1"}, {"BOOL": True}, {"NS": ["1"]}]
)
def test_rule_36_a_change_of_an_attribute_makes_a_record_whether_an_image_shows_it_or_not(
    viewed: BotoTable, view: str, value: dict[str, Any]
) -> None:
    viewed.client.put_item(TableName=viewed.name, Item=WHOLE)
    viewed.client.update_item(
        TableName=viewed.name, Key=KEY, UpdateExpression=SET_N, ExpressionAttributeValues={":n": value}
    )
    assert seen(viewed) == [("INSERT", VIEWS[view] - {"OldImage"}), ("MODIFY", VIEWS[view])]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("value", [{"N": "2"}, {"BOOL": True}])
def test_rule_36_a_change_deep_in_an_item_makes_a_record(viewed: BotoTable, view: str, value: dict[str, Any]) -> None:
    viewed.client.put_item(TableName=viewed.name, Item=WHOLE)
    changed = {"M": {"list": {"L": [value, {"B": b"\x00"}]}}}
    viewed.client.put_item(TableName=viewed.name, Item={**WHOLE, "map": changed})
    assert seen(viewed) == [("INSERT", VIEWS[view] - {"OldImage"}), ("MODIFY", VIEWS[view])]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("values", [{}, {"UpdateExpression": SET_N, "ExpressionAttributeValues": ONE}])
def test_rule_36_an_update_that_creates_makes_one_record(viewed: BotoTable, view: str, values: dict[str, Any]) -> None:
    viewed.client.update_item(TableName=viewed.name, Key=KEY, **values)
    viewed.put(item(2))
    first, second = read_all(viewed.source)
    assert (first["eventName"], second["dynamodb"]["Keys"]["pk"]["S"]) == ("INSERT", "P#2")
    if "NewImage" in VIEWS[view]:
        assert first["dynamodb"]["NewImage"] == {**KEY, **({"n": {"N": "1"}} if values else {})}
    assert int(first["dynamodb"]["SequenceNumber"]) < int(second["dynamodb"]["SequenceNumber"])


def test_rule_34_every_source_yields_lambda_records(table: Table) -> None:
    table.put({**item(1), "binary": b"\x00"})
    (made,) = read_all(table.source)
    assert made["eventVersion"] == "1.1"
    assert made["eventSource"] == "aws:dynamodb"
    assert made["eventSourceARN"].startswith("arn:aws:dynamodb:")
    assert made["dynamodb"]["NewImage"]["binary"] == {"B": "AA=="}
    created = made["dynamodb"]["ApproximateCreationDateTime"]
    assert isinstance(created, float)
    assert created.is_integer()
    assert made["dynamodb"]["SizeBytes"] == record_bytes(made["dynamodb"]["Keys"], made["dynamodb"]["NewImage"], None)
    assert made["dynamodb"]["SequenceNumber"].isdecimal()


def test_rule_06_reading_goes_on_behind_a_sequence_number(table: Table) -> None:
    for number in range(1, 8):
        table.put(item(number))
    paged = read_all(table.source, limit=3)
    assert [one["dynamodb"]["Keys"]["pk"]["S"] for one in paged] == [f"P#{number}" for number in range(1, 8)]
    third = After(paged[2]["dynamodb"]["SequenceNumber"])
    assert read_all(table.source, third) == paged[3:]


def test_rule_06_an_open_shard_is_never_at_its_end(table: Table) -> None:
    table.put(item(1))
    (shard,) = table.source.shards()
    assert not shard.closed
    last = After(read_all(table.source)[-1]["dynamodb"]["SequenceNumber"])
    page = table.source.read(shard.shard_id, last)
    assert (list(page.records), page.at_end) == ([], False)


def test_rule_06_what_is_written_after_an_empty_page_comes_with_a_later_one(table: Table) -> None:
    (shard,) = table.source.shards()
    assert not table.source.read(shard.shard_id, TrimHorizon()).records
    table.put(item(1))
    (first,) = read_all(table.source)
    behind = After(first["dynamodb"]["SequenceNumber"])
    assert not table.source.read(shard.shard_id, behind).records
    table.put(item(2))
    assert [one["dynamodb"]["Keys"]["pk"]["S"] for one in read_all(table.source, behind)] == ["P#2"]


def test_rule_03_latest_is_behind_everything_that_is_there(table: Table) -> None:
    (shard,) = table.source.shards()
    assert table.source.latest(shard.shard_id) == TrimHorizon()
    table.put(item(1))
    table.put(item(2))
    latest = table.source.latest(shard.shard_id)
    table.put(item(3))
    assert [one["dynamodb"]["Keys"]["pk"]["S"] for one in read_all(table.source, latest)] == ["P#3"]


def test_a_stream_that_is_not_there_is_named() -> None:
    with mock_aws():
        gone = BotoStream(clients(None)[1], NOWHERE)
        with pytest.raises(StreamGone, match="table/none"):
            gone.shards()
    with pytest.raises(StreamGone, match="nowhere"):
        MemoryStream().read("nowhere", TrimHorizon())


def opened(*numbers: int) -> MemoryStream:
    source = MemoryStream()
    source.open("s")
    source.append("s", records(numbers))
    return source


def test_rule_06_a_page_has_at_most_a_thousand_records() -> None:
    source = opened(*range(1, 1502))
    assert len(source.read("s", TrimHorizon(), limit=5000).records) == 1000
    assert len(source.read("s", After("1000")).records) == 501


def test_rule_06_a_page_has_at_most_a_megabyte() -> None:
    source = MemoryStream()
    source.open("s")
    source.append("s", [record(number, text="x" * 400_000) for number in (1, 2, 3)])
    assert len(source.read("s", TrimHorizon()).records) == 2


def test_rule_06_a_closed_shard_ends_with_its_last_record() -> None:
    source = opened(1, 2, 3)
    source.close("s")
    assert not source.read("s", TrimHorizon(), limit=2).at_end
    assert source.read("s", After("2")).at_end
    assert source.read("s", After("3")).at_end
    with pytest.raises(ValueError, match="shard s is closed"):
        source.append("s", records([4]))


def test_rule_06_an_expired_iterator_is_replaced_by_reading_again() -> None:
    source = opened(1)
    source.expire_iterator("s")
    with pytest.raises(IteratorExpired):
        source.read("s", TrimHorizon())
    assert len(source.read("s", TrimHorizon()).records) == 1


def test_rule_36_records_are_trimmed_and_the_reader_is_told() -> None:
    source = opened(1, 2, 3, 4)
    source.trim("s", "3")
    with pytest.raises(RecordsTrimmed):
        source.read("s", After("1"))
    assert len(source.read("s", After("3")).records) == 1
    assert len(source.read("s", TrimHorizon()).records) == 1


def test_rule_06_a_forgotten_shard_is_gone() -> None:
    source = opened(1)
    source.forget("s")
    assert source.shards() == ()
    with pytest.raises(StreamGone):
        source.latest("s")


class Refusing:
    """A client of which every call fails with one of the service's exceptions."""

    def __init__(self, name: str) -> None:
        self._client = boto3.client("dynamodbstreams", region_name="us-east-1")
        self.exceptions = self._client.exceptions
        self._error = getattr(self.exceptions, name)({"Error": {"Code": name, "Message": ""}}, "GetRecords")

    def get_shard_iterator(self, **_: object) -> dict[str, Any]:
        raise self._error


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ExpiredIteratorException", IteratorExpired),
        ("TrimmedDataAccessException", RecordsTrimmed),
        ("ResourceNotFoundException", StreamGone),
    ],
)
def test_rule_06_the_services_exceptions_are_told_apart(name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        BotoStream(Refusing(name), NOWHERE).read("s", TrimHorizon())


class Paging:
    """A client that lists shards one a page."""

    exceptions = boto3.client("dynamodbstreams", region_name="us-east-1").exceptions

    def describe_stream(self, **request: str) -> dict[str, Any]:
        if "ExclusiveStartShardId" not in request:
            ended = {"ShardId": "a", "SequenceNumberRange": {"EndingSequenceNumber": "9"}}
            return {"StreamDescription": {"Shards": [ended], "LastEvaluatedShardId": "a"}}
        return {"StreamDescription": {"Shards": [{"ShardId": "b", "ParentShardId": "a"}]}}


def test_rule_05_all_pages_of_shards_are_listed() -> None:
    shards = BotoStream(Paging(), NOWHERE).shards()
    assert [(shard.shard_id, shard.parent, shard.closed) for shard in shards] == [("a", None, True), ("b", "a", False)]


class EmptyPages:
    """A client whose shard has two empty pages before its record, as AWS may answer."""

    exceptions = boto3.client("dynamodbstreams", region_name="us-east-1").exceptions

    def __init__(self) -> None:
        self.fresh_iterators = 0
        self.expired = False

    def get_shard_iterator(self, **_: object) -> dict[str, Any]:
        self.fresh_iterators += 1
        return {"ShardIterator": "0"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        if self.expired:
            self.expired = False
            raise self.exceptions.ExpiredIteratorException({"Error": {"Code": "", "Message": ""}}, "GetRecords")
        page = int(ShardIterator)
        return {"Records": [record(1)][:Limit] if page == 2 else [], "NextShardIterator": str(page + 1)}


def test_rule_06_an_empty_page_is_not_the_end_of_what_is_there() -> None:
    client = EmptyPages()
    source = BotoStream(client, NOWHERE, follow=True)
    assert [len(source.read("s", TrimHorizon()).records) for _ in range(3)] == [0, 0, 1]
    assert client.fresh_iterators == 1


def test_rule_06_an_iterator_that_expired_while_it_was_kept_is_taken_anew() -> None:
    client = EmptyPages()
    source = BotoStream(client, NOWHERE, follow=True)
    source.read("s", TrimHorizon())
    client.expired = True
    assert not source.read("s", TrimHorizon()).records
    assert client.fresh_iterators == 2
