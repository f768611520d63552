"""Leads: tell sales of each new lead, and count the leads by status, exactly once."""

from tablestream import Change, Worker
from tablestream.sinks import Counters, Increment, Message, Topic

worker = Worker(table="leads", sinks=[Counters("lead-counts"), Topic("sales")])  # carried out in this order


@worker.on_insert()
def created(change: Change) -> list[object]:
    """Count a new lead, and tell of it."""
    lead = change.new
    return [Increment({"pk": lead["status"]}, leads=+1), Message({"lead": lead["id"], "email": lead["email"]})]


@worker.on_modify(changed=["status"])
def moved(change: Change) -> list[Increment]:
    """Count a lead under its new status."""
    return [Increment({"pk": change.old["status"]}, leads=-1), Increment({"pk": change.new["status"]}, leads=+1)]


handler = worker.handler()  # JOURNAL_TABLE, FAILURES_BUCKET from the environment; clients at first use
