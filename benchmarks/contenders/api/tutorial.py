"""What both tutorials' functions have alike: the models of an order, its item, and a log line of each request."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from aws_lambda_powertools import Logger
from pydantic import BaseModel, Field

from benchmarks.contenders.context import Context

HIDDEN = {"pk", "sk", "GSI1PK", "GSI1SK", "entityType", "ttl"}


class Line(BaseModel):
    """A line of an order."""

    productId: str = Field(min_length=1, max_length=200)  # noqa: N815 -- the name in the body
    quantity: int = Field(gt=0)
    price: Decimal = Field(ge=0)


class NewOrder(BaseModel):
    """An order that is placed."""

    items: list[Line] = Field(min_length=1, max_length=98)
    shippingAddress: dict[str, Any] | None = None  # noqa: N815 -- likewise


def item_of(user_id: str, order: NewOrder) -> dict[str, Any]:
    """Return the item of a new order."""
    order_id, now = uuid4().hex, datetime.now(UTC).isoformat()
    return {
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


def page_of(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a page that is the last one."""
    return {"items": items, "count": len(items), "nextCursor": None, "hasMore": False}


def logged(handle: Callable[[Any, Any], Any]) -> Callable[[Any], object]:
    """Return a handler that answers a request and writes a log line of it."""
    logger = Logger()

    def handler(event: Any) -> object:
        context: Any = Context()
        began = time.perf_counter()
        answer = handle(event, context)
        asked = event["requestContext"]
        told = {
            "requestId": asked["requestId"],
            "route": f"{asked['http']['method']} {asked['http']['path']}",
            "status": answer["statusCode"],
            "milliseconds": round((time.perf_counter() - began) * 1000, 1),
        }
        logger.info("request", extra=told)
        return answer

    return handler
