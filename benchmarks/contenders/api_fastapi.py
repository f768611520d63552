"""The same HTTP function with FastAPI behind Mangum, and boto3's resource for the table."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger
from boto3.dynamodb.conditions import Attr, Key
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel, Field

from benchmarks.contenders.context import Context

_app = FastAPI()
_logger = Logger()
_dynamodb: Any = boto3.resource("dynamodb")
_table = _dynamodb.Table(os.environ["TABLE_NAME"])
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


@_app.get("/users/{user_id}")
def user(user_id: str) -> dict[str, Any]:
    """Return a user."""
    return _shown(_table.get_item(Key={"pk": f"USER#{user_id}", "sk": f"PROFILE#{user_id}"})["Item"])


@_app.post("/users/{user_id}/orders", status_code=202)
def place(user_id: str, order: NewOrder) -> dict[str, Any]:
    """Place an order."""
    order_id, now = uuid4().hex, datetime.now(UTC).isoformat()
    item = {
        "pk": f"USER#{user_id}",
        "sk": f"ORDER#{order_id}",
        "GSI1PK": f"ORDER#{order_id}",
        "GSI1SK": f"USER#{user_id}",
        "entityType": "Order",
        "orderId": order_id,
        "customerId": user_id,
        "status": "pending",
        "items": [line.model_dump() for line in order.items],
        "total": sum((line.price * line.quantity for line in order.items), Decimal(0)),
        "shippingAddress": order.shippingAddress,
        "createdAt": now,
        "updatedAt": now,
        "version": 1,
    }
    _table.put_item(Item=item, ConditionExpression=Attr("pk").not_exists())
    return {name: value for name, value in item.items() if name not in _HIDDEN}


@_app.get("/users/{user_id}/orders")
def orders(user_id: str, limit: int = 20) -> dict[str, Any]:
    """Return a page of a user's orders."""
    found = _table.query(
        KeyConditionExpression=Key("pk").eq(f"USER#{user_id}") & Key("sk").begins_with("ORDER#"),
        ScanIndexForward=False,
        Limit=limit,
    )
    items = [_shown(item) for item in found["Items"]]
    return {"items": items, "count": len(items), "nextCursor": None, "hasMore": False}


def _shown(item: Any) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _HIDDEN}


_handle = Mangum(_app, lifespan="off")


def handler(event: Any) -> object:
    """Answer a request and write a log line of it."""
    context: Any = Context()
    began = time.perf_counter()
    answer = _handle(event, context)
    asked = event["requestContext"]
    told = {
        "requestId": asked["requestId"],
        "route": f"{asked['http']['method']} {asked['http']['path']}",
        "status": answer["statusCode"],
        "milliseconds": round((time.perf_counter() - began) * 1000, 1),
    }
    _logger.info("request", extra=told)
    return answer
