"""For tests, ours and our users': exact Lambda records from plain dicts, and stand-ins that answer questions.

from tablestream.testing import event, inserted

response = handler(event(inserted({"pk": "USER#1", "sk": "ORDER#1", "entityType": "Order"})), FakeContext())
"""

from __future__ import annotations

from tablestream.testing.doubles import (
    FakeClock,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    RecordingSink,
    client_error,
    effects,
)
from tablestream.testing.dynamodb import MemoryDynamoDB
from tablestream.testing.records import CREATED, TABLE, Record, event, expired, inserted, modified, record, removed
from tablestream.testing.tested import Tested, TestedWorker
from tablestream.testing.values import Item, Raw, image, tagged

__all__ = [
    "CREATED",
    "TABLE",
    "FakeClock",
    "FakeContext",
    "Item",
    "MemoryDeadLetters",
    "MemoryDynamoDB",
    "MemoryJournal",
    "Raw",
    "Record",
    "RecordingSink",
    "Tested",
    "TestedWorker",
    "client_error",
    "effects",
    "event",
    "expired",
    "image",
    "inserted",
    "modified",
    "record",
    "removed",
    "tagged",
]
