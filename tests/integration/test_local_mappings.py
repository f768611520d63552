"""What AWS refuses of event source mappings is refused when the template is started, by the mapping's name."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from local.cloud import Cloud
from local.errors import TemplateError
from local.running import Running
from local.settings import InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration
STREAM = {"Fn::GetAtt": ["Table", "StreamArn"]}


def table() -> dict[str, Any]:
    properties = {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
    }
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties}


def mapping(function: object = None, stream: object = None, **settings: Any) -> dict[str, Any]:
    properties = {"FunctionName": function or {"Ref": "Task"}, "EventSourceArn": stream or STREAM}
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {**properties, "StartingPosition": "LATEST", **settings},
    }


def template(folder: Path, **mappings: dict[str, Any]) -> Path:
    code = {"InlineCode": "def handler(event, context): pass", "Handler": "index.handler", "Runtime": "python3.13"}
    function = {"Type": "AWS::Serverless::Function", "Properties": {**code, "AutoPublishAlias": "live"}}
    resources = {"Table": table(), "Other": table(), "Task": function, "Twin": function, **mappings}
    written = folder / "template.json"
    written.write_text(json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}))
    return written


@pytest.mark.parametrize("again", [{"Ref": "Task"}, {"Fn::GetAtt": ["Task", "Arn"]}, {"Fn::Sub": "${Task}"}])
def test_a_second_mapping_of_the_same_stream_and_function_is_refused_in_the_services_words(
    tmp_path: Path, again: object
) -> None:
    written = template(tmp_path, First=mapping(), Second=mapping(again, BatchSize=1, Enabled=False))
    with pytest.raises(TemplateError) as refused, Cloud(written):
        pass
    assert re.fullmatch(
        r"Second: ResourceConflictException \(409\): The event source arn "
        r'\(" arn:aws:dynamodb:us-east-1:\d+:table/\S+/stream/\S+ "\) and function \(" tablestream-Task-\w+ "\) '
        r"provided mapping already exists\. "
        r"Please update or delete the existing mapping with UUID [0-9a-f-]{36}, which is First",
        str(refused.value),
    )


def test_one_stream_may_have_several_functions_and_a_function_several_streams(tmp_path: Path) -> None:
    mappings = {
        "First": mapping(),
        "OfTwin": mapping({"Ref": "Twin"}),
        "OfAlias": mapping({"Fn::Sub": "${Task}:live"}),
        "OfOther": mapping(stream={"Fn::GetAtt": ["Other", "StreamArn"]}),
    }
    with Cloud(template(tmp_path, **mappings)) as cloud, Running(cloud, lambda _seen: None) as running:
        assert set(running.triggers) == set(mappings)


def test_a_stream_that_is_not_there_is_refused_in_the_services_words(tmp_path: Path) -> None:
    nowhere = "arn:aws:dynamodb:us-east-1:123456789012:table/nowhere/stream/2025-02-22T03:03:25.490"
    with (
        Cloud(template(tmp_path, First=mapping(stream=nowhere))) as cloud,
        pytest.raises(InvalidSettings, match=f"^First: Stream not found: {nowhere}"),
        Running(cloud, lambda _seen: None),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"BatchSize": 0}, "Second: BatchSize is 0"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "Second: Invalid filter pattern definition"),
        ({"TumblingWindowInSeconds": 9, "ParallelizationFactor": 2}, "Second: TumblingWindowInSeconds is 9"),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:1:q.fifo"}}},
            "Second: OnFailure.Destination is .*, a FIFO queue",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_the_mapping_that_has_it(
    tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    written = template(tmp_path, First=mapping(), Second=mapping({"Ref": "Twin"}, **settings))
    with (
        Cloud(written) as cloud,
        pytest.raises(InvalidSettings, match=f"^{complaint}"),
        Running(cloud, lambda _seen: None),
    ):
        pass
