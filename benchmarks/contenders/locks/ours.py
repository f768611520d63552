"""Items under a lock as `tablestream.dynamodb` changes them, which counts in one item."""

from __future__ import annotations

from typing import Any

from tablestream import Run
from tablestream.dynamodb import ItemStore, RaceCondition, Table
from tablestream.dynamodb.locks import Held

Plain = dict[str, Any]
ITEM = {"pk": "COUNTER#1", "sk": "COUNTER"}


class Counter:
    """A count that others change too."""

    def __init__(self, client: Any, table: str, run: Run) -> None:
        """Take a client, the table's name, and how to wait after a race."""
        self._items = ItemStore(Table(table, client, run=run))
        self._held: Held[Plain] | None = None

    def increment(self) -> bool:
        """Count one more; return whether that was written."""
        try:
            self._held = self._items.change(ITEM, _one_more, held=self._held)
        except RaceCondition:
            self._held = None
            return False
        return True


def _one_more(items: list[Plain | None]) -> list[Plain | None]:
    (item,) = items
    return [{**ITEM, "count": 1 if item is None else item["count"] + 1}]
