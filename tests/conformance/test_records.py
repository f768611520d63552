"""Rules 34 and 35: the shape of a record, and how it comes about."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tablestream.change import Change
from tablestream.local.trigger.stream import to_lambda_record, written_at
from tests.conformance.driver import STREAM

READ: dict[str, Any] = {
    "eventID": "e-1",
    "eventName": "MODIFY",
    "eventVersion": "1.0",
    "eventSource": "aws:dynamodb",
    "awsRegion": "us-east-1",
    "dynamodb": {
        "ApproximateCreationDateTime": datetime(2025, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC),
        "Keys": {"pk": {"S": "P"}, "sk": {"B": b"\x00\x01"}},
        "NewImage": {
            "pk": {"S": "P"},
            "sk": {"B": b"\x00\x01"},
            "set": {"BS": [b"a", b"b"]},
            "list": {"L": [{"B": b"in a list"}, {"M": {"deep": {"BS": [b"deeper"]}}}]},
            "map": {"M": {"inner": {"B": b"in a map"}, "flag": {"BOOL": True}, "none": {"NULL": True}}},
        },
        "OldImage": {"pk": {"S": "P"}, "sk": {"B": b"\x00\x01"}},
        "SequenceNumber": "100000000000000000000001",
        "SizeBytes": 42,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    },
}


def test_rule_34_the_record_of_an_event() -> None:
    assert to_lambda_record(READ, STREAM) == {
        "eventID": "e-1",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_763_640_000.0,
            "Keys": {"pk": {"S": "P"}, "sk": {"B": "AAE="}},
            "NewImage": {
                "pk": {"S": "P"},
                "sk": {"B": "AAE="},
                "set": {"BS": ["YQ==", "Yg=="]},
                "list": {"L": [{"B": "aW4gYSBsaXN0"}, {"M": {"deep": {"BS": ["ZGVlcGVy"]}}}]},
                "map": {"M": {"inner": {"B": "aW4gYSBtYXA="}, "flag": {"BOOL": True}, "none": {"NULL": True}}},
            },
            "OldImage": {"pk": {"S": "P"}, "sk": {"B": "AAE="}},
            "SequenceNumber": "100000000000000000000001",
            "SizeBytes": 90,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": STREAM,
    }


def test_rule_34_the_size_is_the_one_that_aws_counts_whatever_the_source_says() -> None:
    keys = {"my_partition_key": {"S": "hello world"}}
    change = {**READ["dynamodb"], "Keys": keys, "NewImage": {**keys, "binary_key": {"B": b"foobar"}}, "SizeBytes": 284}
    del change["OldImage"]
    assert to_lambda_record({**READ, "dynamodb": change}, STREAM)["dynamodb"]["SizeBytes"] == 70


@pytest.mark.parametrize("microsecond", [0, 1, 250_000, 999_999])
def test_rule_34_the_time_of_the_write_has_whole_seconds(microsecond: int) -> None:
    created = datetime(2025, 11, 20, 12, 0, 0, microsecond, tzinfo=UTC)
    read = {**READ, "dynamodb": {**READ["dynamodb"], "ApproximateCreationDateTime": created}}
    made = to_lambda_record(read, STREAM)["dynamodb"]["ApproximateCreationDateTime"]
    assert (made, type(made)) == (1_763_640_000, float)
    assert written_at(read) == (created.timestamp() if microsecond else None)


def test_rule_34_images_that_are_not_there_stay_out() -> None:
    inner = {name: value for name, value in READ["dynamodb"].items() if name != "OldImage"}
    assert "OldImage" not in to_lambda_record({**READ, "eventName": "INSERT", "dynamodb": inner}, STREAM)["dynamodb"]


def test_rule_34_a_ttl_removal_says_who_removed() -> None:
    identity = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    made = to_lambda_record({**READ, "eventName": "REMOVE", "userIdentity": identity}, STREAM)
    assert made["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert Change.from_record(made).expired
    assert "userIdentity" not in to_lambda_record({**READ, "userIdentity": None}, STREAM)


def test_rule_35_the_result_is_json_and_the_source_is_left_alone() -> None:
    before = copy.deepcopy(READ)
    made = to_lambda_record(READ, STREAM)
    assert json.loads(json.dumps(made)) == made
    assert before == READ


def test_rule_35_the_engine_reads_back_the_bytes() -> None:
    change = Change.from_record(to_lambda_record(READ, STREAM))
    assert change.image["sk"] == b"\x00\x01"
    assert change.image["map"]["inner"] == b"in a map"


def test_rule_35_dynamodb_local_has_no_region_in_its_arn() -> None:
    arn = "arn:aws:dynamodb:ddblocal:000000000000:table/T/stream/2026-01-01"
    assert to_lambda_record(READ, arn)["awsRegion"] == "us-east-1"
