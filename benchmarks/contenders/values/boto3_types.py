"""An item between plain values and type tags, as boto3 does it."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from benchmarks.contenders.values import Converter

_reader, _writer = TypeDeserializer(), TypeSerializer()


def _read(item: Any) -> dict[str, Any]:
    return {name: _reader.deserialize(value) for name, value in item.items()}


def _write(item: Any) -> dict[str, Any]:
    return {name: _writer.serialize(value) for name, value in item.items()}


handler = Converter(_read, _write)
