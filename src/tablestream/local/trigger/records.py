"""From a GetRecords record to the record a Lambda event carries (rules 34, 35: recorded, partly inferred)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tablestream.sizes import record_bytes

EVENT_VERSION = "1.1"
EVENT_SOURCE = "aws:dynamodb"


def to_lambda_record(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """The Lambda shape of what boto3's `get_records` returned; the given record is left as it is.

    eventVersion and awsRegion are those of AWS and of the stream's ARN, whatever an emulator says (moto: "1.0", always
    us-east-1), and SizeBytes counts as AWS does (moto: four to eleven times as much). A member the source leaves out
    stays out.
    """
    shaped: dict[str, Any] = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": EVENT_VERSION,
        "eventSource": EVENT_SOURCE,
        "awsRegion": _region(stream_arn) or record.get("awsRegion", ""),
        "dynamodb": _change(record["dynamodb"]),
        "eventSourceARN": stream_arn,
    }
    identity = record.get("userIdentity")
    if identity:
        shaped["userIdentity"] = {key[:1].lower() + key[1:]: value for key, value in identity.items()}
    return shaped


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(change)
    return plain | {"SizeBytes": record_bytes(plain["Keys"], plain.get("NewImage"), plain.get("OldImage"))}


def written_at(record: Mapping[str, Any]) -> float | None:
    """The time (unix seconds) at which a record of `get_records` was written; None if told in whole seconds only.

    An emulator tells it to a fraction of a second, which the event does not carry: it is for measuring.
    """
    created = record["dynamodb"].get("ApproximateCreationDateTime")
    return created.timestamp() if isinstance(created, datetime) and created.microsecond else None


def _region(stream_arn: str) -> str:
    """The region of arn:aws:dynamodb:REGION:...; DynamoDB Local has "ddblocal" there, which is none."""
    region = stream_arn.split(":")[3] if stream_arn.count(":") > 3 else ""  # noqa: PLR2004 -- the ARN's fourth part
    return "" if region == "ddblocal" else region


def _plain(value: Any) -> Any:
    """JSON values: bytes as base64 text also inside L and M, times as whole seconds in a float."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return float(int(value.timestamp()))  # AWS's streams have whole seconds, an emulator's may not (R)
    return value
