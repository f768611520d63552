"""What is done is remembered at module level: noted before it is done, and gone with the environment."""

from __future__ import annotations

from typing import Any

from examples.wrong_points import Credit
from tablestream import Change, Worker

_done: set[str] = set()


def make_worker(client: Any) -> Worker:
    """Return the worker."""
    worker = Worker(table="orders")

    @worker.on_insert()
    def placed(change: Change) -> Credit:
        return Credit(change.new["id"], change.new["customer"], change.new["points"])

    @worker.sink(Credit, idempotent=True)
    def credit(credit: Credit) -> None:
        if credit.order in _done:
            return
        _done.add(credit.order)
        client.put_item(TableName="points", Item={"pk": {"S": credit.order}, "points": {"N": str(credit.points)}})

    return worker
