"""The usual HTTP function: Powertools' resolver with pydantic models, boto3's client, boto3's type conversion."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from benchmarks.contenders.api.tutorial import HIDDEN, NewOrder, item_of, logged, page_of

_app = APIGatewayHttpResolver(enable_validation=True)
_client = boto3.client("dynamodb")
_table = os.environ["TABLE_NAME"]
_read = TypeDeserializer().deserialize
_write = TypeSerializer().serialize


@_app.get("/users/<user_id>")
def user(user_id: str) -> dict[str, Any]:
    """Return a user."""
    found = _client.get_item(TableName=_table, Key={"pk": {"S": f"USER#{user_id}"}, "sk": {"S": f"PROFILE#{user_id}"}})
    return _shown(found["Item"])


@_app.post("/users/<user_id>/orders")
def place(user_id: str, order: NewOrder) -> Response[Any]:
    """Place an order."""
    item = item_of(user_id, order)
    _client.put_item(
        TableName=_table,
        Item={name: _write(value) for name, value in item.items()},
        ConditionExpression="attribute_not_exists(pk)",
    )
    shown = {name: value for name, value in item.items() if name not in HIDDEN}
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
    return page_of([_shown(item) for item in found["Items"]])


def _shown(item: Any) -> dict[str, Any]:
    return {name: _json(_read(value)) for name, value in item.items() if name not in HIDDEN}


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_json(member) for member in value]
    return sorted(value) if isinstance(value, set) else value


handler = logged(_app.resolve)
