"""A table in memory that keeps what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tablestream import Backoff, Run
from tablestream.dynamodb import Table
from tablestream.testing import FakeClock
from tablestream.testing.dynamodb import MemoryDynamoDB


class Counted:
    """A table with its clock, and the calls that were made."""

    def __init__(self, run: Run | None = None) -> None:
        self.clock = FakeClock()
        self.dynamodb = MemoryDynamoDB(self.clock.now)
        self.memory = self.dynamodb.create("games", "pk", "sk")
        self.table = Table("games", self.dynamodb, run=run or Run(clock=self.clock, backoff=Backoff(tries=3)))
        self.calls: list[str] = []
        self.requests: list[Mapping[str, Any]] = []
        self.dynamodb.before = self._called

    def _called(self, operation: str, request: Mapping[str, Any]) -> None:
        self.calls.append(operation)
        self.requests.append(request)
