"""boto3's TypeDeserializer over both images, in a loop."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from benchmarks.contenders.effects import dispatch

_deserialize = TypeDeserializer().deserialize


def handler(event: Any) -> object:
    """Process a batch."""
    for record in event["Records"]:
        stream = record["dynamodb"]
        images = [
            {name: _deserialize(value) for name, value in stream[side].items()} if side in stream else None
            for side in ("NewImage", "OldImage")
        ]
        dispatch(record["eventName"], *images)
    return {}
