"""Sinks for services of AWS, the effects that they take, and the bucket of dead letters."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "Counters": "counters",
    "Event": "eventbridge",
    "EventBus": "eventbridge",
    "Increment": "counters",
    "Message": "messages",
    "MessageTooLarge": "messages",
    "Queue": "sqs",
    "S3DeadLetters": "s3",
    "Topic": "sns",
}

if not TYPE_CHECKING:  # where it stands, a type checker takes any name for one of this module's

    def __getattr__(name: str) -> Any:
        """Import a sink when it is first asked for: each takes a part of a cold start, and a function uses few."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
