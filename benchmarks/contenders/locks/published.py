"""The way that is published for atomic changes of several items: three calls a try, of which two read.

The lock is an item with a version. It is read, or made where there is none; then the items are read; then all is
written in one transaction, if the lock still has its version. The reads are eventually consistent, as DynamoDB's are
where nothing else is said. After a race everything begins anew; whether one waits before is left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

ITEM = {"pk": {"S": "COUNTER#1"}, "sk": {"S": "COUNTER"}}
LOCK = {"pk": {"S": "COUNTER#1"}, "sk": {"S": "COUNTER#LOCK"}}
_TRIES = 1000


def increment(client: Any, table: str, wait: Callable[[int], None]) -> bool:
    """Count one more; return whether that was written. `wait` is called after a race with the tries before it."""
    for tries in range(_TRIES):
        version = _lock(client, table)
        item = client.get_item(TableName=table, Key=ITEM).get("Item", {})
        count = int(item["count"]["N"]) if item else 0
        try:
            client.transact_write_items(TransactItems=_changes(table, version, count + 1))
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            wait(tries)
        else:
            return True
    return False


def count(client: Any, table: str) -> int:
    """Return the count."""
    item = client.get_item(TableName=table, Key=ITEM, ConsistentRead=True)["Item"]
    return int(item["count"]["N"])


def _lock(client: Any, table: str) -> int:
    """Return the version of the lock, which is made where there is none."""
    lock = client.get_item(TableName=table, Key=LOCK).get("Item")
    if lock is not None:
        return int(lock["version"]["N"])
    try:
        client.put_item(
            TableName=table, Item={**LOCK, "version": {"N": "0"}}, ConditionExpression="attribute_not_exists(pk)"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    return 0


def _changes(table: str, version: int, count: int) -> list[dict[str, Any]]:
    lock = {
        "TableName": table,
        "Item": {**LOCK, "version": {"N": str(version + 1)}},
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
    }
    item = {"TableName": table, "Item": {**ITEM, "count": {"N": str(count)}}}
    return [{"Put": lock}, {"Put": item}]
