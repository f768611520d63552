"""The same record handler under a worker."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from examples.from_batch_processor.customers import NoAddress, Send, tell_customer
from tablestream import Worker


def after(send: Send, **options: Any) -> Worker:
    """Return the Lambda handler, here with options such as a journal; the mapping is as before.

    In Lambda it is `handler = worker.handler()`, which makes them of JOURNAL_TABLE and FAILURES_BUCKET.
    """
    worker = Worker(bad_record=[NoAddress], **options)
    worker.per_record(tell_customer(send), record_class=DynamoDBRecord)
    return worker
