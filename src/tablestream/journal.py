"""The journal: which effects are done for records that Lambda will deliver again.

Lambda's checkpoint is one sequence number: when record 3 of 100 fails, 4 to 100 come again. Before the worker answers
with a failure it journals the effects above the checkpoint that are done and not idempotent, and skips them on
redelivery. It does the same for dead letters and for records that an operator sent again: no checkpoint covers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tablestream.backoff import Backoff
from tablestream.batches import READ_LIMIT, WRITE_LIMIT, get_batch, write_batch
from tablestream.chunks import chunks
from tablestream.clock import Clock, Deadline, SystemClock
from tablestream.errors import JournalUnavailable
from tablestream.parallel import Parallel, Sequential

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEFAULT_TTL_DAYS = 14
"""Longer than anything can come back by itself: a stream keeps records for 24 hours, a queue messages for 14 days at
most."""

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
        parts = self._parallel.run([partial(self._read_part, part, deadline) for part in chunks(ids, READ_LIMIT)])
        return {event_id: done for part in parts for event_id, done in part.items()}

    def _read_part(self, ids: Sequence[str], deadline: Deadline) -> dict[str, frozenset[str]]:
        entries: dict[str, Any] = {}
        wanted = list(ids)
        for _ in self._backoff.attempts(self._clock, deadline):
            with suppress(Exception):  # botocore raises more than its own errors, and odd answers anything
                found, left = get_batch(self._client, self._table, [{"pk": {"S": event_id}} for event_id in wanted])
                entries |= {item["pk"]["S"]: item for item in found}
                wanted = [key["pk"]["S"] for key in left]
            if not wanted:
                break
        unread = {*wanted}
        read = {event_id: _done_in(entries.get(event_id)) for event_id in ids if event_id not in unread}
        return {event_id: done for event_id, done in read.items() if done is not None}

    def record(self, done: Mapping[str, frozenset[str]], deadline: Deadline) -> None:
        """Write the entries by twenty-fives."""
        expires = str(int(self._clock.now()) + self._ttl_seconds)
        items = [
            {"pk": {"S": event_id}, "done": {"SS": sorted(effects)}, "ttl": {"N": expires}}
            for event_id, effects in done.items()
        ]
        self._parallel.run([partial(self._write_part, part, deadline) for part in chunks(items, WRITE_LIMIT)])

    def _write_part(self, items: Sequence[Any], deadline: Deadline) -> None:
        wanted = {item["pk"]["S"]: item for item in items}
        cause: Exception | None = None
        for _ in self._backoff.attempts(self._clock, deadline):
            try:
                left = write_batch(self._client, self._table, list(wanted.values()))
                wanted = {item["pk"]["S"]: wanted[item["pk"]["S"]] for item in left}
            except Exception as error:  # noqa: BLE001 -- as above: nobody knows whether they are written, so write again
                cause = error
                continue
            if not wanted:
                return
        raise JournalUnavailable("the journal could not be written") from cause


def _done_in(entry: Any) -> frozenset[str] | None:
    """Return the effects that an entry names, none without an entry; None for one that nobody can read."""
    if entry is None:
        return frozenset()
    names = entry.get("done", {}).get("SS")
    return frozenset(names) if isinstance(names, list) else None
