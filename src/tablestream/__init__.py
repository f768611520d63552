"""tablestream turns the changes of a DynamoDB table into side effects: in order, exactly once, past bad records."""

from __future__ import annotations

from tablestream._version import __version__
from tablestream.change import Change, Kind
from tablestream.dead_letters import DeadLetter, DeadLetters
from tablestream.errors import (
    ConfigurationError,
    InvalidEvent,
    InvalidRecord,
    JournalUnavailable,
    MissingAttribute,
    NoProgress,
    SystemicFailure,
    TablestreamError,
)
from tablestream.image import Image
from tablestream.journal import Journal
from tablestream.report import RecordOutcome, RecordState, Report
from tablestream.router import Router
from tablestream.run import Backoff, Clock, Deadline, Parallel, Run, Sequential, SystemClock, ThreadParallel
from tablestream.sink import DONE, Answer, Done, Effect, Permanent, PermanentFailure, Sink, Transient, answer_to, each
from tablestream.worker import Worker

__all__ = [
    "DONE",
    "Answer",
    "Backoff",
    "Change",
    "Clock",
    "ConfigurationError",
    "DeadLetter",
    "DeadLetters",
    "Deadline",
    "Done",
    "Effect",
    "Image",
    "InvalidEvent",
    "InvalidRecord",
    "Journal",
    "JournalUnavailable",
    "Kind",
    "MissingAttribute",
    "NoProgress",
    "Parallel",
    "Permanent",
    "PermanentFailure",
    "RecordOutcome",
    "RecordState",
    "Report",
    "Router",
    "Run",
    "Sequential",
    "Sink",
    "SystemClock",
    "SystemicFailure",
    "TablestreamError",
    "ThreadParallel",
    "Transient",
    "Worker",
    "__version__",
    "answer_to",
    "each",
]
