"""The journal: which effects are done for records that Lambda will deliver again.

Lambda's checkpoint is one sequence number: when record 3 of 100 fails, 4 to 100 come again. Before the worker answers
with a failure it journals the effects above the checkpoint that are done and not idempotent, and skips them on
redelivery. It does the same for dead letters and for records that an operator sent again: no checkpoint covers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from tablestream.backoff import Backoff
from tablestream.chunks import chunks
from tablestream.clock import Clock, Deadline, SystemClock
from tablestream.errors import JournalUnavailable
from tablestream.parallel import Parallel, Sequential

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEFAULT_TTL_DAYS = 14
"""Longer than anything can come back by itself: a stream keeps records for 24 hours, a queue messages for 14 days at
most."""

_READ_LIMIT = 100  # BatchGetItem takes at most 100 keys
_WRITE_LIMIT = 25  # BatchWriteItem takes at most 25 items
_SECONDS_A_DAY = 86_400


class Journal(Protocol):
    """Remembers, for the event id of a record, the names of its effects that are done."""

    def read(self, event_ids: Sequence[str], deadline: Deadline) -> Mapping[str, frozenset[str]]:
        """Return the done effects of each event id; an id whose entry could not be read is absent."""
        ...

    def record(self, done: Mapping[str, frozenset[str]], deadline: Deadline) -> None:
        """Remember all effects done so far for each event id. Raises `JournalUnavailable`."""
        ...


class DynamoDBJournal:
    """A journal in a table of its own: key `pk` (the event id), `done` (a string set), `ttl`."""

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        *,
        ttl_days: int = DEFAULT_TTL_DAYS,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        parallel: Parallel | None = None,
    ) -> None:
        """Take a boto3 DynamoDB client and the name of a table whose TTL attribute is `ttl`."""
        self._client = client
        self._table = table_name
        self._ttl_seconds = ttl_days * _SECONDS_A_DAY
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._parallel = parallel or Sequential()

    def read(self, event_ids: Sequence[str], deadline: Deadline) -> Mapping[str, frozenset[str]]:
        """Read the entries by hundreds, strongly consistent: a redelivery can follow within milliseconds."""
        ids = list(dict.fromkeys(event_ids))
        parts = self._parallel.run([partial(self._read_part, part, deadline) for part in chunks(ids, _READ_LIMIT)])
        return {event_id: done for part in parts for event_id, done in part.items()}

    def _read_part(self, ids: Sequence[str], deadline: Deadline) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        keys: Any = [{"pk": {"S": event_id}} for event_id in ids]
        for _ in self._backoff.attempts(self._clock, deadline):
            try:
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            except (BotoCoreError, ClientError):
                continue
            found.update(
                {item["pk"]["S"]: frozenset(item["done"]["SS"]) for item in answer["Responses"].get(self._table, ())}
            )
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {"Keys": []})["Keys"]
            if not keys:
                break
        unread = {key["pk"]["S"] for key in keys}
        return {event_id: found.get(event_id, frozenset()) for event_id in ids if event_id not in unread}

    def record(self, done: Mapping[str, frozenset[str]], deadline: Deadline) -> None:
        """Write the entries by twenty-fives."""
        expires = str(int(self._clock.now()) + self._ttl_seconds)
        puts = [
            {"PutRequest": {"Item": {"pk": {"S": event_id}, "done": {"SS": sorted(effects)}, "ttl": {"N": expires}}}}
            for event_id, effects in done.items()
        ]
        self._parallel.run([partial(self._write_part, part, deadline) for part in chunks(puts, _WRITE_LIMIT)])

    def _write_part(self, puts: Sequence[Any], deadline: Deadline) -> None:
        wanted: Any = {self._table: list(puts)}
        cause: Exception | None = None
        for _ in self._backoff.attempts(self._clock, deadline):
            try:
                wanted = self._client.batch_write_item(RequestItems=wanted).get("UnprocessedItems")
            except (BotoCoreError, ClientError) as error:
                cause = error
                continue
            if not wanted:
                return
        raise JournalUnavailable("the journal could not be written") from cause
