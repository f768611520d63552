"""A journal in a DynamoDB table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tablestream.dynamodb.client import READ_LIMIT, WRITE_LIMIT, read_batch, write_batch
from tablestream.dynamodb.errors import HOPELESS
from tablestream.errors import JournalUnavailable, error_class_of
from tablestream.run import Run, chunks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger("tablestream")

DEFAULT_TTL_DAYS = 14
"""Longer than anything can come back by itself: a stream keeps records for 24 hours, a queue messages for 14 days at
most."""

MAX_TTL_DAYS = 3650

_SECONDS_A_DAY = 86_400


class DynamoDBJournal:
    """A journal in a table of its own: key `pk` (the key of a record), `done` (a string set), `ttl`."""

    def __init__(self, client: DynamoDBClient, table_name: str, *, ttl_days: int = DEFAULT_TTL_DAYS) -> None:
        """Take a boto3 DynamoDB client and the name of a table whose TTL attribute is `ttl`."""
        self._client = client
        self._table = table_name
        self._ttl_seconds = ttl_days * _SECONDS_A_DAY

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:
        """Read the entries by hundreds, strongly consistent: a redelivery can follow within milliseconds."""
        asked = list(dict.fromkeys(keys))
        parts = run.parallel.run([partial(self._read_part, part, run) for part in chunks(asked, READ_LIMIT)])
        return {key: done for part in parts for key, done in part.items()}

    def _read_part(self, asked: Sequence[str], run: Run) -> dict[str, frozenset[str]]:
        keys = [{"pk": {"S": key}} for key in asked]
        items, left, failure = read_batch(self._client, self._table, keys, run)
        entries = {item["pk"]["S"]: item for item in items}
        if left and failure is not None:
            told = {"table": self._table, "error_class": error_class_of(failure.error)}
            if failure.kind in HOPELESS:
                told["wanted"] = "a table whose key is pk, text"
            logger.warning("journal cannot be read", extra=told)
        unread = {key["pk"]["S"] for key in left}
        read = {key: _done_in(entries.get(key)) for key in asked if key not in unread}
        return {key: done for key, done in read.items() if done is not None}

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        """Write the entries by twenty-fives."""
        expires = str(int(run.clock.now()) + self._ttl_seconds)
        items = [
            {"pk": {"S": key}, "done": {"SS": sorted(effects)}, "ttl": {"N": expires}} for key, effects in done.items()
        ]
        run.parallel.run([partial(self._write_part, part, run) for part in chunks(items, WRITE_LIMIT)])

    def _write_part(self, items: Sequence[Any], run: Run) -> None:
        entries = [{"PutRequest": {"Item": item}} for item in items]
        left, failure = write_batch(self._client, self._table, entries, run, key=("pk",))
        if left:
            cause = failure.error if failure is not None else None
            raise JournalUnavailable("the journal could not be written") from cause


def _done_in(entry: Any) -> frozenset[str] | None:
    """Return the effects that an entry names, none without an entry; None for one that nobody can read."""
    if entry is None:
        return frozenset()
    names = entry.get("done", {}).get("SS")
    return frozenset(names) if isinstance(names, list) else None
