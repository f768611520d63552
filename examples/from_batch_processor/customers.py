"""A record handler as people have it for Powertools' BatchProcessor: one record, with its own calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

Send = Callable[[str, str], None]


class NoAddress(Exception):
    """An order has nobody to write to."""


def tell_customer(send: Send) -> Callable[[DynamoDBRecord], None]:
    """Return the record handler; `send(address, words)` sends a mail."""

    def record_handler(record: DynamoDBRecord) -> None:
        order = (record.dynamodb.new_image if record.dynamodb else None) or {}
        if "email" not in order:
            raise NoAddress(f"the order {order.get('pk')} has no email")
        send(order["email"], order["status"])

    return record_handler
