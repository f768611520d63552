"""What changes of leads lead to, and how that is carried out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from tablestream import Change, Worker

worker = Worker(table="leads")


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the sales team."""

    text: str


@worker.on_insert()
def created(change: Change) -> Message:
    """Tell of a new lead."""
    return Message(f"New: {change.new['name']}")


@worker.on_modify(changed=["owner"])
def moved(change: Change) -> Message:
    """Tell whose lead it is now."""
    return Message(f"{change.new['name']} goes from {change.old['owner']} to {change.new['owner']}")


@worker.sink(Message)
def publish(message: Message) -> None:
    """Publish a message."""
    topics().publish(TopicArn=os.environ["TOPIC_ARN"], Message=message.text)


@cache
def topics() -> Any:
    """Return a client with short calls of one attempt: the worker itself tries again, and ends in time."""
    return boto3.client("sns", config=Config(connect_timeout=0.5, read_timeout=1.5, retries={"total_max_attempts": 1}))
