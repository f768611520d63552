"""Rules 24 to 26: what the on-failure destination receives, compared as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tablestream.local.delivery.mapping import DestinationKind
from tablestream.local.delivery.on_failure import (
    OnFailureContext,
    object_key,
    on_failure_body,
    on_failure_object,
    on_failure_record,
)
from tablestream.local.delivery.protocol import Answered, InvocationOutcome
from tests.conformance.driver import ERROR, SHARD, STREAM, Shard, failing, record

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:worker"
CONTEXT = OnFailureContext("request-1", FUNCTION)
NOW = 1_763_640_029.717  # 2025-11-20T12:00:29.717Z


def batch_info(first: int, last: int, size: int) -> dict[str, Any]:
    return {
        "shardId": SHARD,
        "startSequenceNumber": str(first),
        "endSequenceNumber": str(last),
        "approximateArrivalOfFirstRecord": "2025-11-20T12:00:00Z",
        "approximateArrivalOfLastRecord": "2025-11-20T12:00:01Z",
        "batchSize": size,
        "streamArn": STREAM,
    }


def discarded(outcome: InvocationOutcome, **settings: Any) -> Shard:
    shard = Shard(report_failures=True, **settings)
    shard.offer(record(7), record(8), record(9, at=shard.now + 1.5))
    shard.run(lambda _: outcome)
    return shard


def test_rule_24_the_message_after_an_exception() -> None:
    (discard,) = discarded(ERROR, max_retries=2).discards
    assert on_failure_record(discard, CONTEXT, NOW) == {
        "requestContext": {
            "requestId": "request-1",
            "functionArn": FUNCTION,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2025-11-20T12:00:29.717Z",
        "DDBStreamBatchInfo": batch_info(7, 9, 3),
    }


def test_rule_24_function_error_is_null_after_batch_item_failures() -> None:
    for answer in (failing(7), Answered({"batchItemFailures": [{"itemIdentifier": "nonsense"}]})):
        (discard,) = discarded(answer, max_retries=0).discards
        assert on_failure_record(discard, CONTEXT, NOW)["responseContext"]["functionError"] is None


def test_rule_25_the_message_about_age_has_no_response_context() -> None:
    shard = Shard(max_age=60)
    shard.offer(record(7), record(8), record(9, at=shard.now + 1.5))
    shard.now += 3600
    shard.due()
    assert on_failure_record(shard.discards[0], CONTEXT, NOW) == {
        "requestContext": {
            "requestId": "request-1",
            "functionArn": FUNCTION,
            "condition": "RecordAgeExceeded",
            "approximateInvokeCount": 1,
        },
        "version": "1.0",
        "timestamp": "2025-11-20T12:00:29.717Z",
        "DDBStreamBatchInfo": batch_info(7, 9, 3),
    }


@pytest.mark.parametrize("failures", [0, 1, 7])
def test_rule_25_the_message_about_age_counts_one_invocation_more_than_there_were(failures: int) -> None:
    shard = Shard(max_age=60, backoff=lambda failed: 61.0 if failed == failures else 0.0)
    shard.offer(record(7, at=shard.now if failures else shard.now - 61))
    shard.run(lambda _: ERROR)
    assert len(shard.invocations) == failures
    message = on_failure_record(shard.discards[0], CONTEXT, NOW)
    assert message["requestContext"]["approximateInvokeCount"] == failures + 1


def test_rule_26_s3_receives_the_same_and_the_records() -> None:
    (discard,) = discarded(ERROR, max_retries=0).discards
    stored = on_failure_object(discard, CONTEXT, NOW)
    assert stored == {**on_failure_record(discard, CONTEXT, NOW), "payload": {"Records": list(discard.records)}}
    assert json.loads(json.dumps(stored)) == stored


def test_rule_26_only_s3_receives_the_records() -> None:
    (discard,) = discarded(ERROR, max_retries=0).discards
    with_records = {kind for kind in DestinationKind if "payload" in on_failure_body(kind, discard, CONTEXT, NOW)}
    assert with_records == {DestinationKind.S3}


def test_rule_26_the_key_of_the_object() -> None:
    assert object_key("mapping", SHARD, NOW, "u-1") == (
        f"aws/lambda/mapping/{SHARD}/2025/11/20/2025-11-20T12.00.29-u-1"
    )
