"""The usual function: boto3's resource for the table, a client for the topic, Powertools' Logger, Metrics and batch."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

_logger = Logger()
_metrics = Metrics()
_processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
_dynamodb: Any = boto3.resource("dynamodb")
_table = _dynamodb.Table(os.environ["INVENTORY_TABLE"])
_client = _table.meta.client
_topic: Any = boto3.client("sns")


def _process(record: DynamoDBRecord) -> None:
    stream = record.dynamodb
    order = stream.new_image if stream is not None else None
    if order is None:
        return
    item = {"pk": f"LEDGER#{order['pk']}", "sk": order["sk"], "state": "RESERVED"}
    _client.transact_write_items(TransactItems=[{"Put": {"TableName": _table.name, "Item": item}}])
    _topic.publish(TopicArn=os.environ["TOPIC_ARN"], Message=json.dumps({"orderId": order["orderId"]}))


def handler(event: Any, context: Any) -> object:
    """Process a batch."""
    return process_partial_response(event=event, record_handler=_process, processor=_processor, context=context)
