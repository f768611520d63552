"""The handlers' effects in plain boto3 calls, for the baselines.

Written with care for what can be had without a ledger: stock that was taken is given back when the order turns out to
be short or decided already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from shop.handlers import router
from shop.orders import OrderKey, OrderLine
from shop.stock import Release, Reserve
from tablestream.change import Change, Kind
from tablestream.sinks import Message
from tests.simulation.aws import INVENTORY, TOPIC
from tests.simulation.boto import plain
from tests.simulation.candidates import Log, client
from tests.simulation.network import Network
from tests.simulation.stream import TABLE


class PlainEffects:
    """The handlers' effects, one call after the other, as tutorials write them."""

    def __init__(self, network: Network, log: Log) -> None:
        # boto3's defaults: ten attempts for DynamoDB, five elsewhere.
        self._dynamodb = client(network, "dynamodb", plain("dynamodb", 10))
        self._sns = client(network, "topic", plain("topic", 5))
        self._log = log

    def process(self, record: Mapping[str, Any]) -> None:
        """Carry out what a record leads to; raises whatever goes wrong."""
        routes = router.routes(record)
        if not routes:
            return
        change = Change.from_record(record)
        # All handlers first: a bad record has no effect.
        for effect in [effect for _, handlers in routes for handler in handlers for effect in handler(change)]:
            if isinstance(effect, Reserve):
                self._reserve(effect, change)
            elif isinstance(effect, Release):
                self._release(change)
            elif isinstance(effect, Message):
                self._publish(effect)

    def _reserve(self, reserve: Reserve, change: Change) -> None:
        taken: list[OrderLine] = []
        status = "confirmed"
        for line in reserve.lines:
            if not self._move(line, "SET available = available - :units", "available >= :units"):
                status = "rejected"
                break
            taken.append(line)
        decided = self._decide(reserve.order, status)
        if status == "rejected" or not decided:
            for line in taken:
                self._move(line, "ADD available :units")
        self._log.applied.add((change.event_id, "reserve"))

    def _release(self, change: Change) -> None:
        before = change.image if change.kind is Kind.INSERT else change.old
        if before["status"] == "confirmed":
            for line in _lines(before):
                self._move(line, "ADD available :units")
        self._log.applied.add((change.event_id, "release"))

    def _move(self, line: OrderLine, update: str, condition: str | None = None) -> bool:
        request: dict[str, Any] = {
            "TableName": INVENTORY,
            "Key": {"pk": {"S": f"PRODUCT#{line.product_id}"}, "sk": {"S": "STOCK"}},
            "UpdateExpression": update,
            "ExpressionAttributeValues": {":units": {"N": str(line.quantity)}},
        }
        if condition is not None:
            request["ConditionExpression"] = condition
        return self._update(request)

    def _decide(self, order: OrderKey, status: str) -> bool:
        return self._update(
            {
                "TableName": TABLE,
                "Key": {"pk": {"S": order.pk}, "sk": {"S": order.sk}},
                "UpdateExpression": "SET #status = :status, version = version + :one",
                "ConditionExpression": "#status = :pending",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {
                    ":status": {"S": status},
                    ":pending": {"S": "pending"},
                    ":one": {"N": "1"},
                },
            }
        )

    def _update(self, request: dict[str, Any]) -> bool:
        """Return False when the condition does not hold."""
        try:
            self._dynamodb.update_item(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _publish(self, message: Message) -> None:
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
        self._sns.publish(TopicArn=TOPIC, Message=message.text, MessageAttributes=attributes)


def _lines(image: Mapping[str, Any]) -> list[OrderLine]:
    return [OrderLine(line["productId"], line["quantity"]) for line in image["items"]]
