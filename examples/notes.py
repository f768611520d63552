"""Notes of many authors in one table, without streams and without HTTP: `tablestream.dynamodb` by itself."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb.conditions import Key

from tablestream.dynamodb import Page, Put, Table, Update, VersionConflict


def add(table: Table, author: str, number: int, text: str) -> None:
    """Add a note and count it, both or neither; a number is taken once, `TransactionCancelled` tells otherwise."""
    note = {"pk": f"AUTHOR#{author}", "sk": f"NOTE#{number:06}", "text": text, "version": 1}
    count = Update({"pk": f"AUTHOR#{author}", "sk": "COUNT"}, add={"notes": 1}, create=True)
    table.transact_write([Put(note, if_absent=True), count])


def newest(table: Table, author: str, cursor: str | None = None) -> Page:
    """Return the newest notes of an author, ten a page; the cursor is for whoever asks for the next one."""
    notes = Key("pk").eq(f"AUTHOR#{author}") & Key("sk").begins_with("NOTE#")
    return table.query(notes, limit=10, newest_first=True, cursor=cursor)


def change(table: Table, note: dict[str, Any], text: str) -> dict[str, Any]:
    """Change a note that was read, unless somebody has changed it since; return the note as it is then."""
    try:
        return table.update({"pk": note["pk"], "sk": note["sk"]}, set={"text": text}, version=note["version"])
    except VersionConflict as conflict:
        return conflict.item or {}
