"""The notes of docs/dynamodb.md."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from examples.notes import add, change, newest
from tablestream.dynamodb import AlreadyExists, Table, TransactionCancelled
from tests.support.dynamodb import create_table


@pytest.fixture
def table() -> Iterator[Table]:
    with mock_aws():
        client = boto3.client("dynamodb", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="k")
        create_table(client, "notes", ["pk", "sk"])
        yield Table("notes", client)


def test_the_newest_notes_by_pages(table: Table) -> None:
    for number in range(12):
        add(table, "ann", number, f"note {number}")
    page = newest(table, "ann")
    assert [note["text"] for note in page.items] == [f"note {number}" for number in range(11, 1, -1)]
    rest = newest(table, "ann", page.cursor)
    assert ([note["text"] for note in rest.items], rest.has_more) == (["note 1", "note 0"], False)
    assert table.get({"pk": "AUTHOR#ann", "sk": "COUNT"}, fields=["notes"]) == {"notes": 12}


def test_a_number_is_taken_once_and_counted_once(table: Table) -> None:
    add(table, "ann", 1, "first")
    with pytest.raises(TransactionCancelled) as told:
        add(table, "ann", 1, "second")
    assert [type(reason) for reason in told.value.reasons] == [AlreadyExists, type(None)]
    assert table.get({"pk": "AUTHOR#ann", "sk": "COUNT"}, fields=["notes"]) == {"notes": 1}


def test_of_two_changes_the_first_counts(table: Table) -> None:
    add(table, "ann", 1, "first")
    (note,) = newest(table, "ann").items
    assert change(table, note, "mine")["version"] == 2
    assert change(table, note, "yours")["text"] == "mine"
