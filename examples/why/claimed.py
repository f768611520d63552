"""A payment with Powertools' Idempotency: the key is claimed, the money taken, the key marked as done. Three writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from boto3.dynamodb.conditions import Attr

from tablestream.dynamodb import Table


def claimed(accounts: Table, keys: DynamoDBPersistenceLayer) -> Callable[[dict[str, Any], Any], Any]:
    """Return a Lambda handler that takes `amount` from the account of `payer` once for each `key`."""
    config = IdempotencyConfig(event_key_jmespath="key")

    @idempotent(config=config, persistence_store=keys)
    def handler(event: dict[str, Any], _context: Any) -> str:
        account, enough = {"pk": event["payer"], "sk": "BALANCE"}, Attr("balance").gte(event["amount"])
        accounts.update(account, add={"balance": -event["amount"]}, condition=enough)
        return uuid.uuid4().hex

    return handler
