"""Each order's points are noted under an id that the clock gives: a change that comes again has another one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tablestream import Change, Worker


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in a customer's book of points."""

    id: str
    customer: str
    points: int


def make_worker(client: Any) -> Worker:
    """Return the worker."""
    worker = Worker(table="orders")

    @worker.on_insert()
    def placed(change: Change) -> Entry:
        return Entry(f"{change.new['id']}-{time.time()}", change.new["customer"], change.new["points"])

    @worker.sink(Entry, idempotent=True)
    def enter(entry: Entry) -> None:
        client.put_item(TableName="points", Item={"pk": {"S": entry.id}, "points": {"N": str(entry.points)}})

    return worker
