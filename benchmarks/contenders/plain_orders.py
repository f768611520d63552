"""The same work with plain boto3 calls: for each order a transaction and a message, as one would write it at first."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from botocore.exceptions import ClientError


class Plain:
    """Reserves and announces one order at a time."""

    def __init__(self, connections: int) -> None:
        config = Config(max_pool_connections=connections)
        self._dynamodb = boto3.client("dynamodb", config=config)
        self._sns = boto3.client("sns", config=config)
        self._deserialize = TypeDeserializer().deserialize
        self._orders, self._inventory = os.environ["TABLE_NAME"], os.environ["INVENTORY_TABLE"]
        self._topic = os.environ["TOPIC_ARN"]

    def process(self, record: Any) -> None:
        """Reserve the order's lines, or reject it; announce it."""
        order = {name: self._deserialize(value) for name, value in record["dynamodb"]["NewImage"].items()}
        moves = [self._move(line["productId"], int(line["quantity"])) for line in order["items"]]
        try:
            actions = [self._ledger(order, "RESERVED"), self._status(order, "confirmed"), *moves]
            self._dynamodb.transact_write_items(TransactItems=actions)
        except ClientError as error:
            self._refused(order, error)
        message = {"type": "order.received", "orderId": order["orderId"], "total": str(order["total"])}
        attributes: Any = {"type": {"DataType": "String", "StringValue": "order.received"}}
        self._sns.publish(TopicArn=self._topic, Message=json.dumps(message), MessageAttributes=attributes)

    def _refused(self, order: Any, error: ClientError) -> None:
        ledger, status, *stock = [reason["Code"] != "None" for reason in error.response["CancellationReasons"]]
        if not ledger and not status and any(stock):
            actions = [self._ledger(order, "REJECTED"), self._status(order, "rejected")]
            self._dynamodb.transact_write_items(TransactItems=actions)
        elif not ledger:
            self._dynamodb.transact_write_items(TransactItems=[self._ledger(order, "WITHDRAWN")])

    def _ledger(self, order: Any, state: str) -> Any:
        lines = {line["productId"]: {"N": str(line["quantity"])} for line in order["items"]}
        item = {
            "pk": {"S": f"LEDGER#{order['pk']}"},
            "sk": {"S": order["sk"]},
            "state": {"S": state},
            "lines": {"M": lines},
        }
        return {
            "Put": {
                "TableName": self._inventory,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def _status(self, order: Any, status: str) -> Any:
        return {
            "Update": {
                "TableName": self._orders,
                "Key": {"pk": {"S": order["pk"]}, "sk": {"S": order["sk"]}},
                "UpdateExpression": "SET #status = :status",
                "ConditionExpression": "#status = :pending",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":status": {"S": status}, ":pending": {"S": "pending"}},
            }
        }

    def _move(self, product: str, units: int) -> Any:
        return {
            "Update": {
                "TableName": self._inventory,
                "Key": {"pk": {"S": f"PRODUCT#{product}"}, "sk": {"S": "STOCK"}},
                "UpdateExpression": "SET available = available - :units",
                "ConditionExpression": "available >= :units",
                "ExpressionAttributeValues": {":units": {"N": str(units)}},
            }
        }
