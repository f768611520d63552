"""Powertools' event class in a loop, as its documentation shows it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.data_classes import DynamoDBStreamEvent

from benchmarks.contenders.effects import dispatch


def handler(event: Any) -> object:
    """Process a batch."""
    for record in DynamoDBStreamEvent(event).records:
        stream = record.dynamodb
        if record.event_name is not None and stream is not None:
            dispatch(record.event_name.name, stream.new_image, stream.old_image)
    return {}
