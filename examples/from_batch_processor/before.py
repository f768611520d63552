"""The record handler under Powertools' BatchProcessor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from examples.from_batch_processor.customers import Send, tell_customer


def before(send: Send) -> Callable[[Any, Any], Any]:
    """Return the Lambda handler; the mapping has ReportBatchItemFailures."""
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
    record_handler = tell_customer(send)

    def handler(event: Any, context: Any) -> Any:
        return process_partial_response(
            event=event, record_handler=record_handler, processor=processor, context=context
        )

    return handler
