"""The usual HTTP function with FastAPI behind Mangum, and boto3's resource for the table."""

from __future__ import annotations

import os
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from fastapi import FastAPI
from mangum import Mangum

from benchmarks.contenders.api.tutorial import HIDDEN, NewOrder, item_of, logged, page_of

_app = FastAPI()
_dynamodb: Any = boto3.resource("dynamodb")
_table = _dynamodb.Table(os.environ["TABLE_NAME"])


@_app.get("/users/{user_id}")
def user(user_id: str) -> dict[str, Any]:
    """Return a user."""
    return _shown(_table.get_item(Key={"pk": f"USER#{user_id}", "sk": f"PROFILE#{user_id}"})["Item"])


@_app.post("/users/{user_id}/orders", status_code=202)
def place(user_id: str, order: NewOrder) -> dict[str, Any]:
    """Place an order."""
    item = item_of(user_id, order)
    _table.put_item(Item=item, ConditionExpression=Attr("pk").not_exists())
    return _shown(item)


@_app.get("/users/{user_id}/orders")
def orders(user_id: str, limit: int = 20) -> dict[str, Any]:
    """Return a page of a user's orders."""
    found = _table.query(
        KeyConditionExpression=Key("pk").eq(f"USER#{user_id}") & Key("sk").begins_with("ORDER#"),
        ScanIndexForward=False,
        Limit=limit,
    )
    return page_of([_shown(item) for item in found["Items"]])


def _shown(item: Any) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in HIDDEN}


handler = logged(Mangum(_app, lifespan="off"))
