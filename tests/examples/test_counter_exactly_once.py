"""The program that counts leads, as it stands: in an AWS in memory, and by its own test."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tablestream.testing import FakeContext, event, inserted, modified

PROGRAM = "examples.counter_exactly_once.leads"
FOLDER = Path(__file__).parents[2] / "examples" / "counter_exactly_once"
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
        boto3.resource("s3", "us-east-1").create_bucket(Bucket="failures")
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


def test_a_lead_without_a_status_is_set_aside_and_the_others_count(aws: Any) -> None:
    handler = runpy.run_module(PROGRAM)["handler"]
    batch = event(inserted({"id": "2"}, keys=("id",), table="leads"), NEW)
    assert handler(batch, FakeContext()) == {"batchItemFailures": []}
    assert counted(aws) == {"new": 1}
    letters = [json.loads(one.get()["Body"].read()) for one in boto3.resource("s3").Bucket("failures").objects.all()]
    assert [letter["reason"] for letter in letters] == ["status: wanted a value, got none; the item has id"]


def test_its_own_test_passes_in_a_folder_of_its_own(tmp_path: Path) -> None:
    for name in ("leads.py", "test_leads.py"):
        shutil.copy(FOLDER / name, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
