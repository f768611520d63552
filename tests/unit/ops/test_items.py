"""The record of a replayed item, beside the record of its insertion."""

from __future__ import annotations

from tablestream.ops.items import Maker
from tablestream.testing import image, inserted


def test_a_replayed_record_is_as_large_as_that_of_the_insertion() -> None:
    item = {"pk": "USER#1", "sk": "ORDER#1", "seal": b"abc", "items": [{"quantity": 12, "label": "größe"}]}
    replayed = Maker("arn:aws:dynamodb:eu-central-1:123456789012:table/orders", ("pk", "sk"), "run", 0.0, notify=False)
    size = replayed.record(image(item) | {"seal": {"B": b"abc"}})["dynamodb"]["SizeBytes"]
    assert size == inserted(item)["dynamodb"]["SizeBytes"]
