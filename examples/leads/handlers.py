"""Leads: sales is told of each new one, and when one goes to somebody else."""

from __future__ import annotations

from tablestream import Change, Worker
from tablestream.sinks import Message, Topic

worker = Worker(table="leads", sinks=[Topic("sales")])


@worker.on_insert()
def created(change: Change) -> Message:
    """Tell of a new lead."""
    return Message(f"New: {change.new['name']}")


@worker.on_modify(changed=["owner"])
def moved(change: Change) -> Message:
    """Tell whose lead it is now."""
    return Message(f"{change.new['name']} goes from {change.old['owner']} to {change.new['owner']}")
