"""A function that handles whole records, as one for Powertools' batch utility: order and dead letters come with it."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from tablestream import InvalidRecord, Worker


def tell_customers(worker: Worker, send: Callable[[str, str], None]) -> None:
    """Have a worker call a function that knows nothing of effects; `send(address, words)` sends a mail."""

    def handle(record: DynamoDBRecord) -> None:
        order = (record.dynamodb.new_image if record.dynamodb else None) or {}
        if "email" not in order:
            raise InvalidRecord("email: wanted an address, got none")
        send(order["email"], order["status"])

    worker.per_record(handle, record_class=lambda record: DynamoDBRecord(dict(record)))
