"""Batches of DynamoDB: one call each, whose answer must speak of all that was asked.

A proxy, a captive portal or a broken emulator can answer in DynamoDB's place. Such an answer says nothing about what
became of the call, and must not be read as "there are no such items" or "all is written".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tablestream.dynamodb.errors import UnreadableAnswerError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

READ_LIMIT = 100
"""Keys that BatchGetItem takes."""
WRITE_LIMIT = 25
"""Items that BatchWriteItem takes."""
_NO_KEYS: Mapping[str, Any] = {"Keys": []}


def get_batch(client: DynamoDBClient, table: str, keys: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Read the items of distinct keys, strongly consistent; return the items, and the keys that were left unprocessed.

    Keys and items have type tags. What is in neither list does not exist. Raises what the client raises, and
    `UnreadableAnswerError` for an answer that leaves open what became of a key.
    """
    request: Any = {table: {"Keys": list(keys), "ConsistentRead": True}}
    answer = client.batch_get_item(RequestItems=request)
    unprocessed = _told(answer, "UnprocessedKeys").get(table, _NO_KEYS)
    left = _listed(unprocessed.get("Keys"), "unprocessed keys") if isinstance(unprocessed, Mapping) else None
    if left is None or any(key not in keys for key in left):
        raise UnreadableAnswerError("wanted unprocessed keys among those that were asked for, got something else")
    # Where nothing was processed, nothing need be said of the table.
    items = _told(answer, "Responses").get(table, [] if len(left) == len(keys) else None)
    return _listed(items, "the table's items"), left


def write_batch(client: DynamoDBClient, table: str, items: Sequence[Any]) -> list[Any]:
    """Put items, given with type tags; return those that were left unprocessed. Raises as `get_batch` does."""
    request: Any = {table: [{"PutRequest": {"Item": item}} for item in items]}
    unprocessed = _told(client.batch_write_item(RequestItems=request), "UnprocessedItems").get(table, [])
    return [entry["PutRequest"]["Item"] for entry in _listed(unprocessed, "unprocessed items")]


def _told(answer: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return a part of an answer, which has to be there, if only to say that there is nothing."""
    told = answer.get(part)
    if not isinstance(told, Mapping):
        raise UnreadableAnswerError(f"wanted {part} by table, got {type(told).__name__}")
    return told


def _listed(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableAnswerError(f"wanted a list of {what}, got {type(value).__name__}")
    return value
