"""On-failure records: the form in which Lambda tells of records that it gave up (rules 24 to 26).

Shapes recorded against AWS (R); that of records too old against Kinesis. Pure: the driver sends what is built here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tablestream.local.delivery.mapping import DestinationKind
from tablestream.local.delivery.protocol import Condition, DiscardRecords, LambdaRecord, iso_seconds


@dataclass(frozen=True, slots=True)
class OnFailureContext:
    """The part of an on-failure record that the discarded batch does not know.

    `request_id` is that of its last invocation, `function_arn` and `executed_version` say what was invoked.

    That with an alias `function_arn` carries it, and `executed_version` is the version behind it, is inferred (I).
    """

    request_id: str
    function_arn: str
    executed_version: str = "$LATEST"


def on_failure_record(discard: DiscardRecords, context: OnFailureContext, now: float) -> dict[str, Any]:
    """The metadata SQS and SNS receive (rules 24, 25). `now` in unix seconds."""
    message: dict[str, Any] = {
        "requestContext": {
            "requestId": context.request_id,
            "functionArn": context.function_arn,
            "condition": str(discard.condition),
            "approximateInvokeCount": _invoke_count(discard),
        }
    }
    if discard.condition is Condition.RETRY_ATTEMPTS_EXHAUSTED:
        message["responseContext"] = {
            "statusCode": 200,
            "executedVersion": context.executed_version,
            "functionError": discard.function_error,
        }
    return message | {
        "version": "1.0",
        "timestamp": _iso_milliseconds(now),
        "DDBStreamBatchInfo": _batch_info(discard),
    }


def on_failure_object(discard: DiscardRecords, context: OnFailureContext, now: float) -> dict[str, Any]:
    """The object that S3 receives: the same, and the records themselves (rule 26)."""
    return on_failure_record(discard, context, now) | {"payload": {"Records": list(discard.records)}}


def on_failure_body(
    kind: DestinationKind, discard: DiscardRecords, context: OnFailureContext, now: float
) -> dict[str, Any]:
    """The on-failure record as a destination of this kind receives it."""
    build = on_failure_object if kind is DestinationKind.S3 else on_failure_record
    return build(discard, context, now)


def object_key(mapping_uuid: str, shard_id: str, now: float, object_uuid: str) -> str:
    """The S3 key of a failure object (rule 26). `now` in unix seconds."""
    time = datetime.fromtimestamp(now, UTC)
    return f"aws/lambda/{mapping_uuid}/{shard_id}/{time:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{object_uuid}"


def _invoke_count(discard: DiscardRecords) -> int:
    """Invocations so far; of records that grew too old one more, so 1 for those that never came to the function (R)."""
    return discard.invoke_count + (discard.condition is Condition.RECORD_AGE_EXCEEDED)


def _batch_info(discard: DiscardRecords) -> dict[str, Any]:
    records: Sequence[LambdaRecord] = discard.records
    return {
        "shardId": discard.shard_id,
        "startSequenceNumber": records[0]["dynamodb"]["SequenceNumber"],
        "endSequenceNumber": records[-1]["dynamodb"]["SequenceNumber"],
        "approximateArrivalOfFirstRecord": _arrival(records[0]),
        "approximateArrivalOfLastRecord": _arrival(records[-1]),
        "batchSize": len(records),
        "streamArn": discard.stream_arn,
    }


def _arrival(record: LambdaRecord) -> str | None:
    created = record["dynamodb"].get("ApproximateCreationDateTime")
    return iso_seconds(created) if isinstance(created, int | float) else None


def _iso_milliseconds(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
