"""Pipes from a table's stream to a function: filtered, enriched, handed over as a list, and set aside when it fails."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.errors import TemplateError
from tablestream.local.template.gaps import INPUT_TEMPLATES
from tablestream.local.trigger.observations import Logged
from tests.support.streamed_table import THINGS

SOON = 30
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Task:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: code, Handler: app.task, Runtime: python3.13 }
  Enrich:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: code, Handler: app.enrich, Runtime: python3.13 }
  Lost: { Type: AWS::SQS::Queue }
  Pipe: PIPE
"""
TEMPLATE += THINGS
CODE = """
    def task(event, context):
        assert isinstance(event, list), event
        for one in event:
            if one == "a bad one" or one.get("dynamodb", {}).get("Keys", {}).get("id", {}).get("S") == "bad":
                raise ValueError("a bad one")
            print("task", one if "seen" in one else one["dynamodb"]["Keys"]["id"]["S"])

    def enrich(event, context):
        return [{"seen": one["dynamodb"]["Keys"]["id"]["S"]} for one in event if one["eventName"] == "INSERT"]
"""
SOURCE = {"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10}}
PIPE = {
    "RoleArn": "arn:aws:iam::123456789012:role/none",
    "Source": {"Fn::GetAtt": ["Things", "StreamArn"]},
    "SourceParameters": SOURCE,
    "Target": {"Fn::GetAtt": ["Task", "Arn"]},
}


def delivered(folder: Path, writes: Mapping[str, str], **changes: Any) -> tuple[list[str], list[Any], tuple[str, ...]]:
    """Write items, and return what the functions print, what the queue gets and what is said."""
    pipe = {"Type": "AWS::Pipes::Pipe", "Properties": {**PIPE, **changes}}
    (folder / "template.yaml").write_text(TEMPLATE.replace("PIPE", json.dumps(pipe)))
    (folder / "code").mkdir()
    (folder / "code" / "app.py").write_text(textwrap.dedent(CODE))
    seen: list[Any] = []
    with Cloud(folder / "template.yaml") as cloud:
        (table,) = cloud.client("dynamodb").list_tables()["TableNames"]
        with Running(cloud, seen.append, Options(poll_interval=0.02, settings=hurried)) as running:
            with running.held():
                for key, value in writes.items():
                    cloud.client("dynamodb").put_item(TableName=table, Item={"id": {"S": key}, "v": {"S": value}})
            assert running.settle(SOON)
        sqs = cloud.client("sqs")
        queues = sqs.list_queues().get("QueueUrls", [])
        messages = [one for url in queues for one in sqs.receive_message(QueueUrl=url).get("Messages", [])]
        printed = [one.line for one in seen if isinstance(one, Logged) and one.line.startswith("task")]
        return printed, [json.loads(one["Body"]) for one in messages], cloud.notes


def test_a_function_gets_the_records_as_a_list(tmp_path: Path) -> None:
    assert delivered(tmp_path, {"a": "1", "b": "2"}) == (["task a", "task b"], [], ())


def test_what_the_filter_leaves_out_is_not_handed_over(tmp_path: Path) -> None:
    pattern = json.dumps({"dynamodb": {"NewImage": {"v": {"S": ["2"]}}}})
    source = {**SOURCE, "FilterCriteria": {"Filters": [{"Pattern": pattern}]}}
    assert delivered(tmp_path, {"a": "1", "b": "2"}, SourceParameters=source)[0] == ["task b"]


def test_an_enrichment_makes_what_the_target_gets(tmp_path: Path) -> None:
    enrichment = {"Fn::GetAtt": ["Enrich", "Arn"]}
    assert delivered(tmp_path, {"a": "1"}, Enrichment=enrichment)[0] == ["task {'seen': 'a'}"]


def test_what_is_given_up_goes_to_the_dead_letter_queue(tmp_path: Path) -> None:
    stream = {
        **SOURCE["DynamoDBStreamParameters"],
        "BatchSize": 1,
        "MaximumRetryAttempts": 1,
        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Lost", "Arn"]}},
    }
    printed, lost, _ = delivered(
        tmp_path, {"bad": "1", "b": "2"}, SourceParameters={"DynamoDBStreamParameters": stream}
    )
    assert printed == ["task b"]
    assert len(lost) == 1


def test_a_pipe_that_is_stopped_hands_nothing_over(tmp_path: Path) -> None:
    assert delivered(tmp_path, {"a": "1"}, DesiredState="STOPPED")[0] == []


def test_what_of_a_pipe_is_not_done_is_said(tmp_path: Path) -> None:
    printed, _, notes = delivered(tmp_path, {"a": "1"}, TargetParameters={"InputTemplate": "<$.body>"})
    assert printed == ["task a"]
    assert notes == (INPUT_TEMPLATES.of("Pipe"),)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"Target": {"Fn::GetAtt": ["Lost", "Arn"]}}, "is not run: only those from a table's stream to a function are"),
        ({"Enrichment": "arn:aws:lambda:other"}, "is not run: wanted a function of this template as its enrichment"),
    ],
)
def test_another_pipe_is_named(tmp_path: Path, changes: dict[str, Any], note: str) -> None:
    printed, _, notes = delivered(tmp_path, {"a": "1"}, **changes)
    assert (printed, notes) == ([], (f"Pipe (AWS::Pipes::Pipe) {note}",))


def test_a_pipe_from_a_table_without_a_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="Pipe reads the stream of Lost, which has none"):
        delivered(tmp_path, {}, Source={"Fn::GetAtt": ["Lost", "StreamArn"]})
