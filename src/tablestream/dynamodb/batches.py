"""Batches of DynamoDB: calls whose answer must speak of all that was asked, and reads of any number of items.

A proxy, a captive portal or a broken emulator can answer in DynamoDB's place. Such an answer says nothing about what
became of the call, and must not be read as "there are no such items" or "all is written".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tablestream.dynamodb.errors import ErrorKind, Failed, UnreadableAnswerError, attempt
from tablestream.dynamodb.items import Item, Key
from tablestream.run import Run, chunks

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


class Readings(NamedTuple):
    """Items that were read: each wanted key is in one of the two."""

    items: Mapping[Key, Item | None]
    """The items by key, None where there is none."""
    failed: Mapping[Key, Failed]


def get_items(client: DynamoDBClient, keys: Sequence[Key], run: Run) -> Readings:
    """Read the items of distinct keys, strongly consistent, a hundred a call, the calls side by side.

    The keys that the service leaves unprocessed are asked for again. One key that DynamoDB does not take fails its
    whole call: it is found by halving, and the others are read.
    """
    by_table: defaultdict[str, list[Key]] = defaultdict(list)
    for key in keys:
        by_table[key.table].append(key)
    parts = [part for of_table in by_table.values() for part in chunks(of_table, READ_LIMIT)]
    return _merged(run.parallel.run([partial(_read, client, part, run) for part in parts]))


def _read(client: DynamoDBClient, keys: Sequence[Key], run: Run) -> Readings:
    found: dict[Key, Item] = {}
    wanted = list(keys)
    failure = Failed(TimeoutError("the items could not be read in time"), ErrorKind.THROTTLE)
    for _ in run.attempts():
        answer = attempt(partial(_ask, client, wanted))
        if isinstance(answer, Failed):
            failure = answer
            if failure.kind in {ErrorKind.INVALID, ErrorKind.CONFIGURATION}:
                break
        else:
            items, wanted = answer
            found.update(items)
        if not wanted:
            break
    if failure.kind is ErrorKind.INVALID and len(wanted) > 1:
        middle = len(keys) // 2
        return _merged([_read(client, keys[:middle], run), _read(client, keys[middle:], run)])
    unread = dict.fromkeys(wanted, failure)
    return Readings({key: found.get(key) for key in keys if key not in unread}, unread)


def _ask(client: DynamoDBClient, keys: Sequence[Key]) -> tuple[dict[Key, Item], list[Key]]:
    like = keys[0]
    items, left = get_batch(client, like.table, [key.tagged() for key in keys])
    return {Key.in_item(item, like): item for item in items}, [Key.in_item(key, like) for key in left]


def _merged(parts: Sequence[Readings]) -> Readings:
    return Readings(
        {key: item for part in parts for key, item in part.items.items()},
        {key: failure for part in parts for key, failure in part.failed.items()},
    )


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
