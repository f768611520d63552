"""Points: a customer gets those of each order once, and loses them when the order is removed."""

from typing import Any

from tablestream import Change, Worker
from tablestream.sinks import Counters, Increment


def make_worker(client: Any = None) -> Worker:
    """Return the worker; a test gives a client of its own."""
    worker = Worker(table="orders", sinks=[Counters("points", client)])

    @worker.on_insert()
    def placed(change: Change) -> Increment:
        return Increment({"pk": change.new["customer"]}, points=change.new["points"])

    @worker.on_remove()
    def removed(change: Change) -> Increment:
        return Increment({"pk": change.old["customer"]}, points=-change.old["points"])

    return worker
