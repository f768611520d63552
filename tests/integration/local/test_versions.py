"""Versions and aliases: what they are called in ARNs, in the handler's context and in messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.server import lambda_server
from tablestream.local.errors import TemplateError
from tablestream.local.trigger.observations import Ended, Observation

if TYPE_CHECKING:
    from pathlib import Path

SOON = 20  # seconds that only a failing test waits for
TELLS = """
import os
def handler(event, context):
    if any("bad" in r["dynamodb"]["Keys"]["id"]["S"] for r in event.get("Records", [])):
        raise ValueError
    return [context.invoked_function_arn, context.function_version, os.environ["AWS_LAMBDA_FUNCTION_VERSION"]]
"""
FUNCTION = {"CodeUri": "code", "Handler": "task.handler", "Runtime": "python3.13", "Timeout": 20}
MAPPING: dict[str, Any] = {
    "EventSourceArn": {"Fn::GetAtt": ["Table", "StreamArn"]},
    "StartingPosition": "TRIM_HORIZON",
    "MaximumRetryAttempts": 0,
    "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Lost", "Arn"]}}},
}


def template(folder: Path, **more: dict[str, Any]) -> Path:
    """Write a template with a table, a function `Task`, a queue, and `more` resources."""
    (folder / "code").mkdir()
    (folder / "code" / "task.py").write_text(TELLS)
    table = {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
    }
    resources = {
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
        "Task": {"Type": "AWS::Serverless::Function", "Properties": FUNCTION},
        "Lost": {"Type": "AWS::SQS::Queue"},
        **more,
    }
    outputs = {"Table": {"Value": {"Ref": "Table"}}, "Lost": {"Value": {"Ref": "Lost"}}}
    written = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources, "Outputs": outputs}
    (folder / "template.json").write_text(json.dumps(written))
    return folder / "template.json"


def mapping(function: object) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {**MAPPING, "FunctionName": function}}


def version(**more: object) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Task"}}, **more}


def alias(name: object, of: object) -> dict[str, Any]:
    properties = {"FunctionName": {"Fn::GetAtt": ["Task", "Arn"]}, "Name": name, "FunctionVersion": of}
    return {"Type": "AWS::Lambda::Alias", "Properties": properties}


SECOND = {"Fn::GetAtt": ["Second", "Version"]}
TWO_VERSIONS = {"First": version(), "Second": version(DependsOn="First"), "Live": alias("live", SECOND)}


@pytest.mark.parametrize(
    ("function", "qualifier", "number"),
    [
        ({"Ref": "Task"}, "", "$LATEST"),
        ({"Ref": "Live"}, ":live", "2"),
        ({"Ref": "First"}, ":1", "1"),
        ({"Fn::Sub": "${Task.Arn}:live"}, ":live", "2"),
        ({"Fn::Sub": "${Live}"}, ":live", "2"),
        ({"Fn::Sub": "${Task}:${Second.Version}"}, ":2", "2"),
        ({"Fn::Join": [":", [{"Ref": "Task"}, "live"]]}, ":live", "2"),
    ],
)
def test_a_mapping_invokes_the_version_or_alias_that_it_names(
    tmp_path: Path, function: object, qualifier: str, number: str
) -> None:
    seen: list[Observation] = []
    with (
        Cloud(template(tmp_path, **TWO_VERSIONS, Changes=mapping(function))) as cloud,
        Running(cloud, seen.append, Options(poll_interval=0.02, settings=hurried)) as running,
    ):
        for item in ("good", "bad"):
            cloud.client("dynamodb").put_item(TableName=cloud.outputs["Table"], Item={"id": {"S": item}})
            assert running.settle(SOON)
        (message,) = cloud.client("sqs").receive_message(QueueUrl=cloud.outputs["Lost"])["Messages"]
        arn = cloud.functions["Task"].arn + qualifier
    good, _bad = [one for one in seen if isinstance(one, Ended)]
    assert good.invocation.payload == [arn, number, number]
    body = json.loads(message["Body"])
    assert body["requestContext"]["functionArn"] == arn
    assert body["responseContext"]["executedVersion"] == number


def test_sams_alias_is_the_first_version(tmp_path: Path) -> None:
    task = {"Type": "AWS::Serverless::Function", "Properties": {**FUNCTION, "AutoPublishAlias": "live"}}
    with Cloud(template(tmp_path, Task=task)) as cloud:
        assert cloud.functions["Task"].qualifiers == {"$LATEST": "$LATEST", "1": "1", "live": "1"}
        assert cloud.notes == ()


def test_what_else_invokes_an_alias_stops_nothing(tmp_path: Path) -> None:
    clock = {"Type": "Schedule", "Properties": {"Schedule": "rate(1 day)"}}
    properties = {**FUNCTION, "AutoPublishAlias": "live", "Events": {"Daily": clock}}
    task = {"Type": "AWS::Serverless::Function", "Properties": properties}
    with Cloud(template(tmp_path, Task=task)) as cloud:
        assert cloud.functions["Task"].version("live") == "1"


def test_references_to_versions_and_aliases_are_what_they_are_in_aws(tmp_path: Path) -> None:
    written = template(tmp_path, **TWO_VERSIONS)
    document = json.loads(written.read_text())
    document["Parameters"] = {"Stage": {"Type": "String", "Default": "beta"}}
    document["Resources"]["Staged"] = alias({"Ref": "Stage"}, "$LATEST")
    wanted = {
        "Live": ({"Ref": "Live"}, ":live"),
        "Staged": ({"Fn::Sub": "<${Staged}>"}, ":beta"),
        "Version": ({"Ref": "Second"}, ":2"),
        "Mixed": ({"Fn::Sub": ["${Live} ${Second.Version} ${Table} ${Own}", {"Own": {"Ref": "First"}}]}, ""),
    }
    document["Outputs"] |= {name: {"Value": value} for name, (value, _) in wanted.items()}
    written.write_text(json.dumps(document))
    with Cloud(written) as cloud:
        arn, table = cloud.functions["Task"].arn, cloud.outputs["Table"]
        assert cloud.outputs["Live"] == f"{arn}:live"
        assert cloud.outputs["Staged"] == f"<{arn}:beta>"
        assert cloud.outputs["Version"] == f"{arn}:2"
        assert cloud.outputs["Mixed"] == f"{arn}:live 2 {table} {arn}:1"
        assert cloud.functions["Task"].qualifiers["beta"] == "$LATEST"


def test_an_alias_that_is_not_there_is_named(tmp_path: Path) -> None:
    written = template(tmp_path, Changes=mapping({"Fn::Sub": "${Task}:live"}))
    with pytest.raises(TemplateError, match="Changes names live of Task: the template has no such"), Cloud(written):
        pass


@pytest.mark.parametrize(
    ("name", "qualifier", "expected"),
    [
        ("{name}", None, "$LATEST"),
        ("{arn}", None, "$LATEST"),
        ("{arn}:live", None, "2"),
        ("{name}:1", None, "1"),
        ("{name}", "live", "2"),
    ],
)
def test_a_call_names_a_version_or_alias_behind_the_function_or_as_qualifier(
    tmp_path: Path, name: str, qualifier: str | None, expected: str
) -> None:
    with (
        Cloud(template(tmp_path, **TWO_VERSIONS)) as cloud,
        Running(cloud, lambda _seen: None) as running,
        lambda_server({cloud.functions["Task"].name: running.runtime("Task")}) as api,
    ):
        function = cloud.functions["Task"]
        client = boto3.client("lambda", endpoint_url=api.endpoint, region_name="us-east-1", **CREDENTIALS)
        request: dict[str, Any] = {"FunctionName": name.format(name=function.name, arn=function.arn)}
        if qualifier is not None:
            request["Qualifier"] = qualifier
        answer = client.invoke(**request, Payload="{}")
        arn, context_version, _ = json.loads(answer["Payload"].read())
        assert (answer["ExecutedVersion"], context_version) == (expected, expected)
        configuration = client.get_function_configuration(**request)
        assert (configuration["FunctionArn"], configuration["Version"]) == (arn, expected)
        with pytest.raises(ClientError, match="Function not found"):
            client.invoke(FunctionName=f"{function.name}:nobody")


CREDENTIALS: dict[str, Any] = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
