"""The points are added to a number, and nothing tells whether an order has been counted."""

from __future__ import annotations

from typing import Any

from examples.wrong_points import Credit, add_points
from tablestream import Change, Worker


def make_worker(client: Any) -> Worker:
    """Return the worker."""
    worker = Worker(table="orders")

    @worker.on_insert()
    def placed(change: Change) -> Credit:
        return Credit(change.new["id"], change.new["customer"], change.new["points"])

    @worker.sink(Credit)
    def credit(credit: Credit) -> None:
        add_points(client, credit)

    return worker
