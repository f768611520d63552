"""What AWS refuses of event source mappings is refused at the start, by name; what it ignores is warned of."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tablestream.local.application import Options, Running
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.functions import mention_of_failures
from tablestream.local.delivery.mapping import InvalidSettings
from tablestream.local.errors import TemplateError
from tablestream.local.trigger.observations import Ended, Observation, Trouble

if TYPE_CHECKING:
    from pathlib import Path

SOON = 20  # seconds that only a failing test waits for
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
        r"template\.json, line 1: Second: ResourceConflictException \(409\): The event source arn "
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
        pytest.raises(InvalidSettings, match=f"^template.json, line 1: First: Stream not found: {nowhere}"),
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
        pytest.raises(InvalidSettings, match=f"^template.json, line 1: {complaint}"),
        Running(cloud, lambda _seen: None),
    ):
        pass


PARTIAL = "def handler(event, context):\n    return {'batchItemFailures': [{'itemIdentifier': 'any'}]}\n"
IGNORED = (
    "the mapping (template.json, line {line}) has no FunctionResponseTypes: [ReportBatchItemFailures], so the "
    "batchItemFailures {which} are ignored: all records of the batch count as done, as in AWS"
)


def partial(folder: Path, code: str = PARTIAL, **settings: Any) -> Path:
    """A template whose function gives partial answers; the mapping's line is the same as that of its event."""
    (folder / "code").mkdir()
    (folder / "code" / "task.py").write_text(code)
    event = {"Type": "DynamoDB", "Properties": {"Stream": STREAM, "StartingPosition": "TRIM_HORIZON", **settings}}
    function = {"CodeUri": "code", "Handler": "task.handler", "Runtime": "python3.13", "Events": {"Changes": event}}
    resources = {"Table": table(), "Task": {"Type": "AWS::Serverless::Function", "Properties": function}}
    outputs = {"Table": {"Value": {"Ref": "Table"}}}
    document = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources, "Outputs": outputs}
    (folder / "template.json").write_text(json.dumps(document, indent=1))
    return folder / "template.json"


def line_of_event(written: Path) -> int:
    lines = written.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if '"Changes"' in line)


def test_partial_answers_that_are_ignored_are_warned_of_at_the_start_and_at_the_first(tmp_path: Path) -> None:
    written = partial(tmp_path)
    seen: list[Observation] = []
    with Cloud(written) as cloud, Running(cloud, seen.append, Options(poll_interval=0.02)) as running:
        (note,) = running.settings["TaskChanges"].notes
        for item in ("a", "b"):
            cloud.client("dynamodb").put_item(TableName=cloud.outputs["Table"], Item={"id": {"S": item}})
            assert running.settle(SOON)
    line = line_of_event(written)
    assert note == IGNORED.format(line=line, which="of which task.py, line 2 speaks")
    assert [one.message for one in seen if isinstance(one, Trouble)] == [
        IGNORED.format(line=line, which="in this answer")
    ]
    assert len([one for one in seen if isinstance(one, Ended)]) == 2


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        (PARTIAL, {"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 0}),
        ("def handler(event, context): return None", {}),
    ],
)
def test_what_is_right_is_not_warned_of(tmp_path: Path, code: str, settings: dict[str, Any]) -> None:
    seen: list[Observation] = []
    with (
        Cloud(partial(tmp_path, code, **settings)) as cloud,
        Running(cloud, seen.append, Options(poll_interval=0.02)) as running,
    ):
        cloud.client("dynamodb").put_item(TableName=cloud.outputs["Table"], Item={"id": {"S": "a"}})
        assert running.settle(SOON)
        assert running.settings["TaskChanges"].notes == ()
    assert not [one for one in seen if isinstance(one, Trouble)]


@pytest.mark.parametrize(
    ("handler", "files", "mention"),
    [
        ("task.handler", {"task.py": "\n'batchItemFailures'"}, "task.py, line 2"),
        ("task.handler", {"task.py": "import other", "other.py": "x = 'batchItemFailures'"}, "other.py, line 1"),
        ("task.handler", {"task.py": "from aws.batch import process_partial_response"}, "task.py, line 1"),
        ("task.handler", {"task.py": "from tablestream import Worker"}, "task.py, line 1"),
        ("shop/app.handler", {"shop/app.py": "", "shop/deep/b.py": "batchItemFailures"}, "shop/deep/b.py, line 1"),
        ("shop.app.handler", {"shop/app.py": "", "library/a.py": "batchItemFailures"}, None),
        ("task.handler", {"task.py": "x = 1", "library/a.py": "batchItemFailures"}, None),
        ("task.handler", {}, None),
    ],
)
def test_the_functions_own_code_is_looked_at_and_not_its_libraries(
    tmp_path: Path, handler: str, files: dict[str, str], mention: str | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert mention_of_failures(tmp_path, handler) == mention
