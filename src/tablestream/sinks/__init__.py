"""Sinks for services of AWS, the effects that they take, and the bucket of dead letters."""

from __future__ import annotations

from tablestream.sinks.counters import Counters, Increment
from tablestream.sinks.eventbridge import Event, EventBus
from tablestream.sinks.messages import Message, MessageTooLarge
from tablestream.sinks.s3 import S3DeadLetters
from tablestream.sinks.sns import Topic
from tablestream.sinks.sqs import Queue

__all__ = [
    "Counters",
    "Event",
    "EventBus",
    "Increment",
    "Message",
    "MessageTooLarge",
    "Queue",
    "S3DeadLetters",
    "Topic",
]
