"""Two tables, two workers, one topic: each worker is a function of its own, and the handlers are shared."""

from __future__ import annotations

from tablestream import Change, Router, Worker
from tablestream.sinks import Message, Topic

router = Router()


@router.on_remove()
def removed(change: Change) -> Message:
    """Tell that an item was removed, or that it expired."""
    return Message({"id": change.old["id"]}, {"kind": "expired" if change.expired else "removed"})


def worker_of(table: str) -> Worker:
    """Return the worker of a table. The name tells the two apart in the journal that they share."""
    worker = Worker(table=table, name=f"audit-{table}", sinks=[Topic("audit")])
    worker.include(router)
    return worker


users, sessions = worker_of("users"), worker_of("sessions")
