"""What can go wrong, and how much of an invocation it takes with it.

TablestreamError
├── InvalidEvent          the invocation: this is not a DynamoDB stream event for this worker
├── InvalidRecord         one record: it can never be processed; it is poison and goes to the dead letters
├── SystemicFailure       the invocation: most handlers raised, so the code is at fault and not the records
├── NoProgress            the invocation: the first record of the batch failed, there is no checkpoint to answer with
├── JournalUnavailable    the journal could not be written
└── ConfigurationError    the worker was put together or configured wrongly; raised at start-up

The messages of `InvalidEvent`, `SystemicFailure`, `NoProgress` and `ConfigurationError` reach the log and carry no
attribute values. The message of `InvalidRecord` may quote a value: it is stored with the dead letter, never logged.
"""

from __future__ import annotations

import reprlib


class TablestreamError(Exception):
    """Base of everything tablestream raises on purpose."""


class InvalidEvent(TablestreamError):
    """The event is not a DynamoDB stream event that this worker can take. No effect has happened."""


class InvalidRecord(TablestreamError):
    """One record can never be processed: raise it from a handler to send the record to the dead letters."""


class SystemicFailure(TablestreamError):
    """Handlers raised unexpectedly for most of a batch: the invocation fails and nothing is dead-lettered."""


class NoProgress(TablestreamError):
    """The first record of a batch of several failed: a function error lets Lambda halve the batch."""


class JournalUnavailable(TablestreamError):
    """The journal could not be written, after retries."""


class ConfigurationError(TablestreamError):
    """The worker was configured wrongly; the message names each setting and what was wanted."""


_bounded = reprlib.Repr()
_bounded.maxlevel = 3
_bounded.maxstring = _bounded.maxother = _bounded.maxlong = 80


def describe(value: object) -> str:
    """Say what came: its type and a bounded repr, whatever its size or depth."""
    return f"{type(value).__name__} {_bounded.repr(value)}"
