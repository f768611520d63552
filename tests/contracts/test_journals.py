"""The rules of a journal, kept by the one of the test kit and by the one in DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tablestream import Backoff, Journal, JournalUnavailable, Run
from tablestream.dynamodb.journal import DynamoDBJournal
from tablestream.testing import FakeClock, MemoryJournal, client_error
from tests.support.dynamodb import BACKENDS, table_in

MAIL = frozenset({"mail/1"})


@dataclass
class Subject:
    """A journal, and what can happen to it."""

    journal: Journal
    go_down: Callable[[], object]
    spoil: Callable[[str], None]
    """Makes the entry of a key one that nobody can read."""


class Unsteady:
    """A client that can be down."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.down = False

    def __getattr__(self, name: str) -> Any:
        if self.down:
            raise client_error("ServiceUnavailable", name, status=503)
        return getattr(self._client, name)


def in_memory() -> Subject:
    journal = MemoryJournal()
    return Subject(journal, lambda: setattr(journal, "down", True), journal.unreadable.add)


def in_dynamodb(client: Any, table: str) -> Subject:
    unsteady: Any = Unsteady(client)

    def spoil(key: str) -> None:
        client.put_item(TableName=table, Item={"pk": {"S": key}, "done": {"S": "mail/1"}})

    return Subject(DynamoDBJournal(unsteady, table), lambda: setattr(unsteady, "down", True), spoil)


@pytest.fixture(params=["test kit", *BACKENDS])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "test kit":
        yield in_memory()
    else:
        with table_in(request.param, ["pk"]) as (client, table):
            yield in_dynamodb(client, table)


def lent() -> Run:
    return Run(clock=FakeClock(), backoff=Backoff(tries=2))


def test_what_was_recorded_is_read_and_the_rest_is_known_to_be_empty(subject: Subject) -> None:
    subject.journal.record({"a": MAIL | {"stock/1"}, "b": MAIL}, lent())
    assert subject.journal.read(["a", "b", "c"], lent()) == {"a": {"mail/1", "stock/1"}, "b": MAIL, "c": frozenset()}


def test_only_what_was_asked_for_is_told(subject: Subject) -> None:
    subject.journal.record({"a": MAIL, "b": MAIL}, lent())
    assert subject.journal.read(["b"], lent()) == {"b": MAIL}


def test_recording_again_replaces(subject: Subject) -> None:
    subject.journal.record({"a": MAIL}, lent())
    subject.journal.record({"a": frozenset({"stock/1"})}, lent())
    assert subject.journal.read(["a"], lent()) == {"a": {"stock/1"}}


def test_a_key_may_be_asked_for_twice(subject: Subject) -> None:
    subject.journal.record({"a": MAIL}, lent())
    assert subject.journal.read(["a", "b", "a"], lent()) == {"a": MAIL, "b": frozenset()}


def test_any_number_of_keys(subject: Subject) -> None:
    entries = {f"record {number}": MAIL for number in range(205)}
    subject.journal.record(entries, lent())
    assert subject.journal.read(list(entries), lent()) == entries
    subject.journal.record({}, lent())
    assert subject.journal.read([], lent()) == {}


def test_keys_and_effects_are_any_text(subject: Subject) -> None:
    entries = {"worker/é\u2028#1": frozenset({'"', "é" * 500, "a/b c"})}
    subject.journal.record(entries, lent())
    assert subject.journal.read(list(entries), lent()) == entries


def test_an_entry_that_nobody_can_read_is_absent_and_not_empty(subject: Subject) -> None:
    subject.journal.record({"a": MAIL}, lent())
    subject.spoil("b")
    assert subject.journal.read(["a", "b"], lent()) == {"a": MAIL}


def test_a_journal_that_is_down_reads_nothing_and_refuses_to_record(subject: Subject) -> None:
    subject.journal.record({"a": MAIL}, lent())
    subject.go_down()
    assert subject.journal.read(["a", "b"], lent()) == {}
    with pytest.raises(JournalUnavailable):
        subject.journal.record({"b": MAIL}, lent())
