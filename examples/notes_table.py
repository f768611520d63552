"""A table for the notes of `examples/notes.py`, and the first note in it: `python -m examples.notes_table`."""

from __future__ import annotations

import sys
from typing import Any

from examples.notes import add, newest
from tablestream.dynamodb import Table, connect


def make_table(client: Any, name: str) -> None:
    """Make a table, and wait until it can be used."""
    client.create_table(
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=name)


def main() -> None:
    """Make the table, take a note, and print the newest."""
    client = connect(region="eu-central-1")
    make_table(client, "notes")
    notes = Table("notes", client)
    add(notes, "ann", 1, "first")
    sys.stdout.write(f"{newest(notes, 'ann').items[0]['text']}\n")


if __name__ == "__main__":
    main()
