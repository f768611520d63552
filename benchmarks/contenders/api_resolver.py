"""The usual HTTP function: Powertools' resolver with pydantic models, boto3's client, boto3's type conversion."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pydantic import BaseModel, Field

from benchmarks.contenders.context import Context

_app = APIGatewayHttpResolver(enable_validation=True)
_client = boto3.client("dynamodb")
_logger = Logger()
_table = os.environ["TABLE_NAME"]
_read = TypeDeserializer().deserialize
_write = TypeSerializer().serialize
_HIDDEN = {"pk", "sk", "GSI1PK", "GSI1SK", "entityType", "ttl"}


class Line(BaseModel):
    """A line of an order."""

    productId: str = Field(min_length=1, max_length=200)  # noqa: N815 -- the name in the body
    quantity: int = Field(gt=0)
    price: Decimal = Field(ge=0)


class NewOrder(BaseModel):
    """An order that is placed."""

    items: list[Line] = Field(min_length=1, max_length=98)
    shippingAddress: dict[str, Any] | None = None  # noqa: N815 -- likewise


@_app.get("/users/<user_id>")
def user(user_id: str) -> dict[str, Any]:
    """Return a user."""
    found = _client.get_item(TableName=_table, Key={"pk": {"S": f"USER#{user_id}"}, "sk": {"S": f"PROFILE#{user_id}"}})
    return _shown(found["Item"])


@_app.post("/users/<user_id>/orders")
def place(user_id: str, order: NewOrder) -> Response[Any]:
    """Place an order."""
    order_id, now = uuid4().hex, datetime.now(UTC).isoformat()
    lines = [line.model_dump() for line in order.items]
    item = {
        "pk": f"USER#{user_id}",
        "sk": f"ORDER#{order_id}",
        "GSI1PK": f"ORDER#{order_id}",
        "GSI1SK": f"USER#{user_id}",
        "entityType": "Order",
        "orderId": order_id,
        "customerId": user_id,
        "status": "pending",
        "items": lines,
        "total": sum((line.price * line.quantity for line in order.items), Decimal(0)),
        "shippingAddress": order.shippingAddress,
        "createdAt": now,
        "updatedAt": now,
        "version": 1,
    }
    _client.put_item(
        TableName=_table,
        Item={name: _write(value) for name, value in item.items()},
        ConditionExpression="attribute_not_exists(pk)",
    )
    shown = {name: value for name, value in item.items() if name not in _HIDDEN}
    return Response(status_code=202, content_type="application/json", body=shown)


@_app.get("/users/<user_id>/orders")
def orders(user_id: str, limit: int = 20) -> dict[str, Any]:
    """Return a page of a user's orders."""
    found = _client.query(
        TableName=_table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues={":pk": {"S": f"USER#{user_id}"}, ":prefix": {"S": "ORDER#"}},
        ScanIndexForward=False,
        Limit=limit,
    )
    items = [_shown(item) for item in found["Items"]]
    return {"items": items, "count": len(items), "nextCursor": None, "hasMore": False}


def _shown(item: Any) -> dict[str, Any]:
    return {name: _json(_read(value)) for name, value in item.items() if name not in _HIDDEN}


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_json(member) for member in value]
    return sorted(value) if isinstance(value, set) else value


def handler(event: Any) -> object:
    """Answer a request and write a log line of it."""
    context: Any = Context()
    began = time.perf_counter()
    answer = _app.resolve(event, context)
    asked = event["requestContext"]
    told = {
        "requestId": asked["requestId"],
        "route": f"{asked['http']['method']} {asked['http']['path']}",
        "status": answer["statusCode"],
        "milliseconds": round((time.perf_counter() - began) * 1000, 1),
    }
    _logger.info("request", extra=told)
    return answer
