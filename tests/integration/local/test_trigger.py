"""The stream trigger end to end: a write to a table arrives at a handler, and what fails comes again or is given up."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.delivery.protocol import Answered, NotInvoked
from tablestream.local.trigger.observations import Ended, GivenUp, KeptBack, Logged, Observation, Read, Trouble
from tablestream.local.trigger.stream import BotoStream, TrimHorizon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tablestream.local.cloud.clients import Client
    from tablestream.local.delivery.mapping import MappingSettings
    from tablestream.local.trigger.stream import RecordPage

SOON = 20  # seconds no condition here ever needs; only a failing test waits for so long
ARN = {"Fn::GetAtt": ["Table", "StreamArn"]}
QUEUE = {"Type": "AWS::SQS::Queue"}
DESTINATIONS = {
    "S3": ({"Type": "AWS::S3::Bucket"}, {"Fn::GetAtt": ["Lost", "Arn"]}),
    "SQS": (QUEUE, {"Fn::GetAtt": ["Lost", "Arn"]}),
    "SNS": ({"Type": "AWS::SNS::Topic"}, {"Ref": "Lost"}),
}
WRITES_DOWN = "def handler(event, context): return {'batchItemFailures': []}"
FAILS_ON_BAD_ONCE = """
import pathlib
def handler(event, context):
    for record in event['Records']:
        seen = pathlib.Path(record['dynamodb']['Keys']['id']['S'])
        if record['dynamodb'].get('NewImage', {}).get('bad') and not seen.exists():
            seen.touch()
            return {'batchItemFailures': [{'itemIdentifier': record['dynamodb']['SequenceNumber']}]}
"""
FAILS_ON_BAD = """
def handler(event, context):
    bad = [r for r in event['Records'] if r['dynamodb'].get('NewImage', {}).get('bad')]
    return {'batchItemFailures': [{'itemIdentifier': r['dynamodb']['SequenceNumber']} for r in bad]}
"""


def template(destination: str | None = None, **settings: Any) -> dict[str, Any]:
    resource, reference = DESTINATIONS[destination] if destination else (QUEUE, None)
    given_up = {"DestinationConfig": {"OnFailure": {"Type": destination, "Destination": reference}}}
    event = {"Stream": ARN, "StartingPosition": "TRIM_HORIZON", **settings, **(given_up if destination else {})}
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Lost": resource,
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
                },
            },
            "Task": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "CodeUri": "code",
                    "Handler": "task.handler",
                    "Runtime": "python3.13",
                    "Timeout": 20,
                    "Environment": {"Variables": {"TABLE": {"Ref": "Table"}}},
                    "Events": {"Changes": {"Type": "DynamoDB", "Properties": event}},
                },
            },
        },
        "Outputs": {"Table": {"Value": {"Ref": "Table"}}, "Lost": {"Value": {"Ref": "Lost"}}},
    }


@dataclass
class World:
    cloud: Cloud
    running: Running
    seen: list[Observation] = field(default_factory=list)

    def client(self, service: str) -> Client:
        return self.cloud.client(service)

    def write(self, *items: str, bad: str = "") -> None:
        """Put items that arrive in one batch; the one named `bad` says so."""
        with self.running.held():
            for item in items:
                self.put(item, **({"bad": {"BOOL": True}} if item == bad else {}))
        assert self.running.settle(SOON), self.seen

    def put(self, item: str, **attributes: Any) -> None:
        self.client("dynamodb").put_item(TableName=self.cloud.outputs["Table"], Item={"id": {"S": item}, **attributes})

    def batches(self) -> list[list[str]]:
        """The item ids of each invocation, in order."""
        ended = [seen for seen in self.seen if isinstance(seen, Ended)]
        return [[record["dynamodb"]["Keys"]["id"]["S"] for record in one.invoke.records] for one in ended]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Start a small application with the given handler; `change` alters its event source mapping's settings."""
    worlds: list[World] = []

    def start(
        source: str,
        template: dict[str, Any],
        change: Callable[[MappingSettings], MappingSettings] = lambda settings: settings,
    ) -> World:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "task.py").write_text(source)
        (tmp_path / "template.json").write_text(json.dumps(template))
        cloud = Cloud(tmp_path / "template.json").__enter__()
        seen: list[Observation] = []
        options = Options(poll_interval=0.02, settings=lambda settings: change(hurried(settings)))
        worlds.append(World(cloud, Running(cloud, seen.append, options).__enter__(), seen))
        return worlds[-1]

    yield start
    for world in worlds:
        world.running.__exit__(None, None, None)
        world.cloud.__exit__(None, None, None)
        assert not [seen for seen in world.seen if isinstance(seen, Trouble)]


def test_a_write_arrives_as_a_lambda_event(start: Callable[..., World]) -> None:
    world = start("import os\ndef handler(event, c): print(os.environ['TABLE'], event['Records'])", template())
    world.write("a", "b")
    assert world.batches() == [["a", "b"]]
    (line,) = [seen.line for seen in world.seen if isinstance(seen, Logged)]
    assert line.startswith(world.cloud.outputs["Table"])
    (ended,) = [seen for seen in world.seen if isinstance(seen, Ended)]
    record = ended.invoke.records[0]
    assert (record["eventName"], record["eventVersion"], record["eventSource"]) == ("INSERT", "1.1", "aws:dynamodb")
    assert record["dynamodb"]["NewImage"] == {"id": {"S": "a"}}
    assert record["eventSourceARN"].endswith(world.cloud.mappings[0].stream_arn)
    assert record["dynamodb"]["ApproximateCreationDateTime"].is_integer()
    written = {number: at for seen in world.seen if isinstance(seen, Read) for number, at in seen.written.items()}
    assert [int(written[one["dynamodb"]["SequenceNumber"]]) for one in ended.invoke.records] == [
        one["dynamodb"]["ApproximateCreationDateTime"] for one in ended.invoke.records
    ]


def test_batches_are_no_larger_than_the_batch_size(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template(BatchSize=2))
    world.write("a", "b", "c")
    assert world.batches() == [["a", "b"], ["c"]]


def test_a_filter_keeps_records_from_invoking(start: Callable[..., World]) -> None:
    pattern = json.dumps({"dynamodb": {"NewImage": {"id": {"S": [{"prefix": "b"}]}}}})
    world = start(WRITES_DOWN, template(FilterCriteria={"Filters": [{"Pattern": pattern}]}))
    world.write("a", "b", "c")
    assert world.batches() == [["b"]]
    world.write("d")
    assert world.batches() == [["b"]]
    (first,) = [one for one in world.seen if isinstance(one, KeptBack)]
    assert (first.mapping, first.filters) == ("TaskChanges", (pattern,))


def test_a_partial_failure_is_delivered_again_from_the_failed_record_on(
    start: Callable[..., World], tmp_path: Path
) -> None:
    world = start(FAILS_ON_BAD_ONCE, template(FunctionResponseTypes=["ReportBatchItemFailures"]))
    bad = str(tmp_path / "b")
    world.write("a", bad, "c", bad=bad)
    assert world.batches() == [["a", bad, "c"], [bad, "c"]]


def test_an_error_is_retried_and_halves_the_batch(start: Callable[..., World]) -> None:
    source = "def handler(event, c): assert not [r for r in event['Records'] if r['dynamodb']['NewImage'].get('bad')]"
    world = start(source, template(BisectBatchOnFunctionError=True, MaximumRetryAttempts=1))
    world.write("a", "b", bad="b")
    assert world.batches() == [["a", "b"], ["a"], ["b"], ["b"]]


def test_a_handler_that_overruns_or_dies_is_retried(start: Callable[..., World], tmp_path: Path) -> None:
    source = (
        "import os, time, pathlib\n"
        "def handler(event, context):\n"
        f"    calls = pathlib.Path({str(tmp_path / 'calls')!r})\n"
        "    with calls.open('a') as file: file.write('x')\n"
        "    n = len(calls.read_text())\n"
        "    if n == 1: time.sleep(60)\n"
        "    if n == 2: os._exit(1)\n"
    )
    small = template()
    small["Resources"]["Task"]["Properties"]["Timeout"] = 1
    world = start(source, small)
    world.write("a")
    assert world.batches() == [["a"]] * 3
    errors = [seen.invocation.error for seen in world.seen if isinstance(seen, Ended)]
    assert [error and error["errorType"] for error in errors] == ["Sandbox.Timedout", "Runtime.ExitError", None]


@pytest.mark.parametrize("kind", ["S3", "SQS", "SNS"])
def test_what_is_given_up_is_told_to_the_destination(start: Callable[..., World], kind: str) -> None:
    settings = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 1}
    world = start(FAILS_ON_BAD, template(kind, **settings))
    inbox = subscribe(world) if kind == "SNS" else world.cloud.outputs["Lost"]
    world.write("a", "b", "c", bad="b")
    (given_up,) = [seen for seen in world.seen if isinstance(seen, GivenUp)]
    assert given_up.destination is not None
    message = in_bucket(world) if kind == "S3" else in_queue(world, inbox)
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert message["requestContext"]["functionArn"] == world.cloud.functions["Task"].arn
    last = [seen for seen in world.seen if isinstance(seen, Ended)][-1]
    assert message["requestContext"]["requestId"] == last.invocation.request_id
    assert message["DDBStreamBatchInfo"]["batchSize"] == 2
    assert world.batches() == [["a", "b", "c"], ["b", "c"], ["b", "c"]]


def in_bucket(world: World) -> Any:
    s3, bucket = world.client("s3"), world.cloud.outputs["Lost"]
    (entry,) = s3.list_objects_v2(Bucket=bucket, Prefix="aws/lambda/")["Contents"]
    message = json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
    assert [r["dynamodb"]["Keys"]["id"]["S"] for r in message["payload"]["Records"]] == ["b", "c"]
    return message


def in_queue(world: World, url: str) -> Any:
    (message,) = world.client("sqs").receive_message(QueueUrl=url)["Messages"]
    body = json.loads(message["Body"])
    return json.loads(body["Message"]) if "Message" in body else body


def subscribe(world: World) -> str:
    sqs, sns = world.client("sqs"), world.client("sns")
    url: str = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=world.cloud.outputs["Lost"], Protocol="sqs", Endpoint=arn)
    return url


def test_records_are_as_aws_writes_them(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template())
    dynamodb, table, key = world.client("dynamodb"), world.cloud.outputs["Table"], {"id": {"S": "a"}}
    with world.running.held():
        values = {":one": {"N": "1"}}
        for _ in range(2):  # creates; then changes nothing
            dynamodb.update_item(
                TableName=table, Key=key, UpdateExpression="SET n = :one", ExpressionAttributeValues=values
            )
        world.running.corrections.mark_expired(key)
        dynamodb.delete_item(TableName=table, Key=key)
    assert world.running.settle(SOON)
    (ended,) = [seen for seen in world.seen if isinstance(seen, Ended)]
    assert [record["eventName"] for record in ended.invoke.records] == ["INSERT", "REMOVE"]
    assert ended.invoke.records[0]["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "n": {"N": "1"}}
    assert ended.invoke.records[1]["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def test_several_lanes_are_delivered_side_by_side_in_order_per_item(start: Callable[..., World]) -> None:
    source = (
        "import pathlib, time\n"
        "def handler(event, context):\n"
        "    print(' '.join(r['dynamodb']['Keys']['id']['S'] + r['eventName'] for r in event['Records']))\n"
    )
    world = start(source, template(ParallelizationFactor=3, BatchSize=1))
    with world.running.held():
        for name in ("INSERT", "REMOVE"):
            for item in ("a", "b", "c", "d"):
                call = {"TableName": world.cloud.outputs["Table"]}
                if name == "INSERT":
                    world.client("dynamodb").put_item(**call, Item={"id": {"S": item}})
                else:
                    world.client("dynamodb").delete_item(**call, Key={"id": {"S": item}})
    assert world.running.settle(SOON)
    lines = [seen.line for seen in world.seen if isinstance(seen, Logged)]
    assert sorted(lines) == sorted(f"{item}{name}" for item in "abcd" for name in ("INSERT", "REMOVE"))
    assert all(lines.index(f"{item}INSERT") < lines.index(f"{item}REMOVE") for item in "abcd")


def test_what_was_there_before_is_not_delivered_under_latest(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template(), lambda settings: replace(settings, starting_position="LATEST"))
    assert world.running.settle(SOON)
    world.write("a")
    world.running.__exit__(None, None, None)
    world.running = Running(world.cloud, world.seen.append, world.running.options).__enter__()
    assert world.running.settle(SOON)
    world.write("b")
    assert world.batches() == [["a"], ["b"]]


class Interleaved:
    """A Streams client in whose reads a transaction is cancelled between GetShardIterator and GetRecords."""

    def __init__(self, world: World) -> None:
        self._streams = world.client("dynamodbstreams")
        self._dynamodb = world.client("dynamodb")
        self._table = world.cloud.outputs["Table"]
        self.exceptions = self._streams.exceptions

    def describe_stream(self, **request: Any) -> Any:
        return self._streams.describe_stream(**request)

    def get_shard_iterator(self, **request: Any) -> Any:
        iterator = self._streams.get_shard_iterator(**request)
        phantom = {"Put": {"TableName": self._table, "Item": {"id": {"S": "phantom"}}}}
        check = {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": {"id": {"S": "nobody"}},
                "ConditionExpression": "attribute_exists(id)",
            }
        }
        with pytest.raises(self._dynamodb.exceptions.TransactionCanceledException):
            self._dynamodb.transact_write_items(TransactItems=[phantom, check])
        return iterator

    def get_records(self, **request: Any) -> Any:
        return self._streams.get_records(**request)


def test_what_a_cancelled_transaction_did_not_write_is_not_delivered(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template())
    world.write("a")
    source = BotoStream(Interleaved(world), world.cloud.mappings[0].stream_arn)
    (shard,) = source.shards()
    assert names(source.read(shard.shard_id, TrimHorizon())) == ["a"]


def names(page: RecordPage) -> list[str]:
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in page.records]


def test_a_disabled_mapping_delivers_nothing_and_resumes_where_it_was(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template())
    world.write("a")
    (trigger,) = world.running.triggers.values()
    trigger.enable(wanted=False)
    assert world.running.settle(SOON)
    world.write("b")
    assert world.batches() == [["a"]]
    trigger.enable()
    assert world.running.settle(SOON)
    assert world.batches() == [["a"], ["b"]]


def test_what_is_in_flight_ends_before_a_mapping_is_enabled_again(start: Callable[..., World], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    source = (
        "import pathlib, time\n"
        "def handler(event, context):\n"
        f"    while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    )
    world = start(source, template())
    world.put("a")
    (trigger,) = world.running.triggers.values()
    until(lambda: trigger.in_flight == 1)
    trigger.enable(wanted=False)
    trigger.enable()
    gate.touch()
    assert world.running.settle(SOON)
    assert world.batches() == [["a"]]


def test_a_mapping_that_the_template_disables_waits_to_be_enabled(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template(Enabled=False))
    world.write("a")
    assert world.batches() == []
    world.running.triggers["TaskChanges"].enable()
    assert world.running.settle(SOON)
    assert world.batches() == [["a"]]


def test_a_function_without_concurrency_is_throttled_and_no_attempt_is_used(start: Callable[..., World]) -> None:
    world = start(WRITES_DOWN, template(MaximumRetryAttempts=0, BisectBatchOnFunctionError=True))
    world.running.runtime("Task").throttle(3)
    world.write("a", "b")
    ended = [seen for seen in world.seen if isinstance(seen, Ended)]
    assert [type(one.invocation.outcome) for one in ended] == [NotInvoked] * 3 + [Answered]
    assert world.batches() == [["a", "b"]] * 4
    assert {one.invoke.attempt for one in ended} == {0}


def test_a_bad_answer_fails_the_whole_batch(start: Callable[..., World]) -> None:
    """One of them end to end; what else is a bad answer: tests/conformance/test_recordings.py."""
    answer = "{'batchItemFailures': [{'itemIdentifier': 'of another batch'}]}"
    settings: dict[str, Any] = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 1}
    world = start(f"def handler(event, context): return {answer}", template(**settings))
    world.write("a", "b")
    assert world.batches() == [["a", "b"]] * 2
    (given_up,) = [seen for seen in world.seen if isinstance(seen, GivenUp)]
    assert len(given_up.discard.records) == 2
