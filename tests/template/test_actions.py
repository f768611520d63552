"""What the worker's code calls is what its role may do: nothing missing, nothing extra."""

from __future__ import annotations

import ast
import copy
import runpy
from typing import Any

import pytest

from tests.support.cloudformation import ROOT, translated
from tests.template.actions import actions_called, granted, operations_called, reachable, services_used

SOURCE = ROOT / "src"
TREES = reachable(SOURCE, "shop.processor")
# What is done in the role's name without a line of ours, and why.
BY_AWS = {
    "Logs": {"logs:CreateLogStream", "logs:PutLogEvents"},  # Lambda writes what the function logs
    "ReadStream": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},  # the trigger polls
    "ListStreams": {"dynamodb:ListStreams"},  # likewise
    "ParkGivenUp": {"s3:PutObject"},  # the on-failure destination
    "FindFailuresBucket": {"s3:ListBucket"},  # likewise: Lambda asks for it when the mapping is made
    "Trace": {"xray:PutTelemetryRecords", "xray:PutTraceSegments"},  # where tracing is on
    # where the stack has a key: DynamoDB, S3 and SNS use it in the caller's name
    "UseKey": {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"}
    | {"kms:ReEncryptFrom", "kms:ReEncryptTo"},
}


@pytest.fixture
def resources() -> dict[str, Any]:
    return copy.deepcopy(translated()["Resources"])


def differences(resources: dict[str, Any], trees: list[ast.Module]) -> tuple[set[str], set[str]]:
    """What the code calls and may not, and what the role may and nobody needs."""
    may = granted(resources)
    ours = set().union(*(actions for sid, actions in may.items() if sid not in BY_AWS))
    calls = actions_called(trees, services_used(trees))
    missing, extra = calls - ours, ours - calls
    for sid, wanted in BY_AWS.items():
        missing |= wanted - may.get(sid, set())
        extra |= may.get(sid, set()) - wanted
    return missing, extra


def test_the_role_may_do_what_the_code_calls_and_nothing_else(resources: dict[str, Any]) -> None:
    assert differences(resources, TREES) == (set(), set())


def test_the_package_keeps_the_operations_that_are_called_and_no_other() -> None:
    kept = runpy.run_path(str(SOURCE / "trim_botocore.py"))["CALLED"]["Worker"]

    assert kept == operations_called(TREES, services_used(TREES))


@pytest.mark.parametrize(("sid", "action"), [("MoveStock", "dynamodb:DeleteItem"), ("Logs", "logs:CreateLogGroup")])
def test_a_planted_extra_permission_is_found(sid: str, action: str, resources: dict[str, Any]) -> None:
    for statement in statements(resources, sid):
        statement["Action"] = [*as_list(statement["Action"]), action]

    assert differences(resources, TREES) == (set(), {action})


@pytest.mark.parametrize(
    ("sid", "action"),
    [
        ("MoveStock", "dynamodb:PutItem"),
        ("KeepJournal", "dynamodb:BatchWriteItem"),
        ("Notify", "sns:Publish"),
        ("ParkPoison", "s3:PutObject"),
        ("ReadStream", "dynamodb:GetRecords"),
        ("UseKey", "kms:Decrypt"),
    ],
)
def test_a_planted_missing_permission_is_found(sid: str, action: str, resources: dict[str, Any]) -> None:
    for statement in statements(resources, sid):
        statement["Action"] = [each for each in as_list(statement["Action"]) if each != action]

    assert differences(resources, TREES) == ({action}, set())


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("self._client.query(TableName='t')", "dynamodb:Query"),
        ("partial(client.delete_object, Bucket='b')", "s3:DeleteObject"),
        ("client.list_objects_v2(Bucket='b')", "s3:ListBucket"),
        ("make('ses').send_email(Source='a')", "ses:SendEmail"),
        ("request = {'TransactItems': [{'ConditionCheck': {}}]}", "dynamodb:ConditionCheckItem"),
    ],
)
def test_a_call_that_nobody_granted_is_found(code: str, action: str, resources: dict[str, Any]) -> None:
    assert differences(resources, [*TREES, ast.parse(code)]) == ({action}, set())


def statements(resources: dict[str, Any], sid: str) -> list[dict[str, Any]]:
    documents = [
        policy["PolicyDocument"]
        for resource in resources.values()
        if resource["Type"] in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}
        for policy in resource["Properties"].get("Policies", [resource["Properties"]])
    ]
    found = [each for document in documents for each in document["Statement"] if each["Sid"] == sid]
    assert found
    return found


def as_list(action: str | list[str]) -> list[str]:
    return [action] if isinstance(action, str) else action
