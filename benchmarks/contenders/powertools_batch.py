"""Powertools' BatchProcessor, as its documentation shows it; the record's stream part is asked for once, not twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from benchmarks.contenders.effects import dispatch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

_processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


def _record_handler(record: DynamoDBRecord) -> None:
    stream = record.dynamodb
    if record.event_name is not None and stream is not None:
        dispatch(record.event_name.name, stream.new_image, stream.old_image)


def handler(event: Any) -> object:
    """Process a batch."""
    return process_partial_response(event=event, record_handler=_record_handler, processor=_processor)
