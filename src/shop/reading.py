"""Reading many items of the inventory table, strongly consistent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from shop.ledger import Item, ItemKey
from tablestream.chunks import chunks
from tablestream.dynamodb.batches import READ_LIMIT, get_batch
from tablestream.dynamodb.errors import ErrorKind, Failed, attempt
from tablestream.run import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Readings(NamedTuple):
    """What was read: each wanted key is in one of the two."""

    items: Mapping[ItemKey, Item | None]
    """The items by key, None where there is none."""
    failed: Mapping[ItemKey, Failed]


class Reader:
    """Reads items by their keys, a hundred a call, the calls side by side."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Take a boto3 DynamoDB client and the table's name."""
        self._client = client
        self._table = table

    def read(self, keys: Sequence[ItemKey], run: Run) -> Readings:
        """Read the items of distinct keys; what the service leaves unprocessed is asked for again."""
        parts = list(chunks(keys, READ_LIMIT))
        readings = run.parallel.run([partial(self._read_part, part, run) for part in parts])
        return _merged(readings)

    def _read_part(self, keys: Sequence[ItemKey], run: Run) -> Readings:
        found: dict[ItemKey, Item] = {}
        wanted = list(keys)
        failure = Failed(TimeoutError("the ledger could not be read in time"), ErrorKind.THROTTLE)
        for _ in run.attempts():
            answer = attempt(partial(self._ask, wanted))
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
            return self._halved(keys, run)
        unread = dict.fromkeys(wanted, failure)
        return Readings({key: found.get(key) for key in keys if key not in unread}, unread)

    def _halved(self, keys: Sequence[ItemKey], run: Run) -> Readings:
        """One key that DynamoDB does not take fails the whole call: find it, and let the others through."""
        middle = len(keys) // 2
        return _merged([self._read_part(keys[:middle], run), self._read_part(keys[middle:], run)])

    def _ask(self, keys: Sequence[ItemKey]) -> tuple[dict[ItemKey, Item], list[ItemKey]]:
        items, left = get_batch(self._client, self._table, [key.tagged() for key in keys])
        return {ItemKey.of(item): item for item in items}, [ItemKey.of(key) for key in left]


def _merged(parts: Sequence[Readings]) -> Readings:
    return Readings(
        {key: item for part in parts for key, item in part.items.items()},
        {key: failure for part in parts for key, failure in part.failed.items()},
    )
