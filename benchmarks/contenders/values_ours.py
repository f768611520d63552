"""An item between plain values and type tags, as `tablestream.dynamodb` does it."""

from __future__ import annotations

from typing import Any

from tablestream.dynamodb.values import tag_item as write
from tablestream.image import plain as read


class _Converter:
    """Keeps the plain values of the item that is written again and again."""

    def __init__(self) -> None:
        self._values: Any = None

    def __call__(self, event: Any) -> object:
        if event["do"] == "read":
            return read(event["item"])
        if self._values is None:
            self._values = read(event["item"])
        return write(self._values)


handler = _Converter()
