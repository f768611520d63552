"""An item between plain values and type tags, by one library each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Converter:
    """Reads or writes an item as it is told; keeps the plain values of the one that is written again and again."""

    def __init__(self, read: Callable[[Any], Any], write: Callable[[Any], Any]) -> None:
        """Take what makes plain values, and what makes type tags."""
        self._read = read
        self._write = write
        self._values: Any = None

    def __call__(self, event: Any) -> object:
        """Do what `{"do": "read", "item": …}` says, or `"write"`."""
        if event["do"] == "read":
            return self._read(event["item"])
        if self._values is None:
            self._values = self._read(event["item"])
        return self._write(self._values)
