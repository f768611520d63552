"""tablestream turns the changes of a DynamoDB table into side effects: in order, exactly once, past bad records."""

from __future__ import annotations

from tablestream._version import __version__
from tablestream.backoff import Backoff
from tablestream.change import Change, Kind
from tablestream.clock import Clock, Deadline, SystemClock
from tablestream.dead_letters import DeadLetter, DeadLetters, S3DeadLetters
from tablestream.effects import DONE, Answer, Done, Permanent, PermanentFailure, Sink, Transient, each
from tablestream.errors import (
    ConfigurationError,
    InvalidEvent,
    InvalidRecord,
    JournalUnavailable,
    NoProgress,
    SystemicFailure,
    TablestreamError,
)
from tablestream.image import Image
from tablestream.journal import DynamoDBJournal, Journal
from tablestream.parallel import Parallel, Sequential, ThreadParallel
from tablestream.report import Outcome, Report, Verdict
from tablestream.router import Router
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
    "DynamoDBJournal",
    "Image",
    "InvalidEvent",
    "InvalidRecord",
    "Journal",
    "JournalUnavailable",
    "Kind",
    "NoProgress",
    "Outcome",
    "Parallel",
    "Permanent",
    "PermanentFailure",
    "Report",
    "Router",
    "S3DeadLetters",
    "Sequential",
    "Sink",
    "SystemClock",
    "SystemicFailure",
    "TablestreamError",
    "ThreadParallel",
    "Transient",
    "Verdict",
    "Worker",
    "__version__",
    "each",
]
