"""An item between plain values and type tags, as `tablestream.dynamodb` does it."""

from __future__ import annotations

from benchmarks.contenders.values import Converter
from tablestream.dynamodb.requests.values import tag_item
from tablestream.image import plain

handler = Converter(plain, tag_item)
