"""A table of one's own, without entity types: each new lead and each change of its owner is told on a topic."""

from __future__ import annotations

from tablestream import Change, Worker
from tablestream.sinks import Message, Topic

worker = Worker(table="leads", sinks=[Topic("sales")])  # LEADS_TABLE, SALES_TOPIC_ARN in the environment


@worker.on_insert()
def created(change: Change) -> Message:
    """Tell of a new lead."""
    return Message({"lead": change.new["id"], "email": change.new["email"]}, {"kind": "created"})


@worker.on_modify(changed=["owner"])
def handed_over(change: Change) -> Message:
    """Tell whose lead it is now."""
    return Message({"lead": change.new["id"], "from": change.old["owner"], "to": change.new["owner"]})
