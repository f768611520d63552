"""The program that counts leads, as it stands: against the embedded AWS, and its handlers by themselves."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tablestream import Change
from tablestream.sinks import Increment, Message
from tablestream.testing import FakeContext, event, inserted, modified

PROGRAM = "examples.counter_exactly_once"
LEAD = {"id": "1", "email": "ann@example.com", "status": "new"}
NEW = inserted(LEAD, keys=("id",), table="leads", sequence_number=1)
WON = modified(LEAD, {**LEAD, "status": "won"}, keys=("id",), table="leads", sequence_number=2)
REGION = "eu-central-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SAM_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        dynamodb: Any = boto3.client("dynamodb", REGION)
        for table in ("counts", "journal"):
            dynamodb.create_table(
                TableName=table,
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
        topic = boto3.client("sns", REGION).create_topic(Name="sales")["TopicArn"]
        names = {"LEAD_COUNTS_TABLE": "counts", "JOURNAL_TABLE": "journal", "FAILURES_BUCKET": "failures"}
        for name, value in {**names, "SALES_TOPIC_ARN": topic}.items():
            monkeypatch.setenv(name, value)
        yield dynamodb


def counted(aws: Any) -> dict[str, int]:
    items = aws.scan(TableName="counts")["Items"]
    return {item["pk"]["S"]: int(item["leads"]["N"]) for item in items if "leads" in item}


def test_leads_are_counted_once_by_their_status_however_often_they_come(aws: Any) -> None:
    handler = runpy.run_module(PROGRAM)["handler"]
    for batch in (event(NEW, WON), event(NEW), event(WON), event(NEW, WON)):
        assert handler(batch, FakeContext()) == {"batchItemFailures": []}
    assert counted(aws) == {"new": 0, "won": 1}


@pytest.mark.usefixtures("aws")
def test_its_handlers_need_no_aws() -> None:
    program = runpy.run_module(PROGRAM)
    assert program["created"](Change.from_record(NEW)) == [
        Increment({"pk": "new"}, leads=1),
        Message({"lead": "1", "email": "ann@example.com"}),
    ]
    assert json.loads(program["created"](Change.from_record(NEW))[1].text)["lead"] == "1"
    assert program["moved"](Change.from_record(WON)) == [
        Increment({"pk": "new"}, leads=-1),
        Increment({"pk": "won"}, leads=1),
    ]
