"""Two sinks for messages: customers are told by a topic, the warehouse by a queue."""

from __future__ import annotations

from tablestream import Change, Worker
from tablestream.sinks import Message, Queue, Topic


class OrderCancelled(Message):
    """A message for the warehouse."""


worker = Worker(table="orders", sinks=[Topic("customers"), Queue("warehouse", takes=OrderCancelled)])


@worker.on_modify(changed=["status"])
def status_changed(change: Change) -> list[Message]:
    """Tell the customer of each new status, and the warehouse of a cancelled order."""
    order = change.new
    told = [Message({"order": order["id"], "status": order["status"]})]
    return [*told, OrderCancelled({"order": order["id"]})] if order["status"] == "cancelled" else told
