"""Values hidden, structure shown."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as some

from tablestream.ops.masking import masked
from tablestream.testing import Raw, inserted

SECRET = "s3cr3t"


def test_the_structure_stays_and_the_values_go() -> None:
    item = {"pk": SECRET, "sk": "x", "n": 5, "bad": Raw({"N": SECRET}), "lines": [{"productId": SECRET}], "flag": True}
    shown = masked(inserted(item))["dynamodb"]["NewImage"]
    assert shown == {
        "pk": {"S": "<text, 6 characters>"},
        "sk": {"S": "<text, 1 characters>"},
        "n": {"N": "<a number>"},
        "bad": {"N": "<text that is no number>"},
        "lines": {"L": [{"M": {"productId": {"S": "<text, 6 characters>"}}}]},
        "flag": {"BOOL": "<true or false>"},
    }


def test_what_identifies_the_change_stays() -> None:
    record = inserted({"pk": "a", "sk": "b"})
    shown = masked(record)
    assert shown["eventID"] == record["eventID"]
    assert shown["dynamodb"]["SequenceNumber"] == record["dynamodb"]["SequenceNumber"]
    assert shown["dynamodb"]["Keys"] == {"pk": {"S": "<text, 1 characters>"}, "sk": {"S": "<text, 1 characters>"}}


_json = some.recursive(
    some.just(SECRET),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["S", "N", "M", "L", "B", f"{SECRET} {SECRET}"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_json, _json)
def test_no_malformed_image_lets_a_value_through(image: object, keys: object) -> None:
    record = {"eventID": "e", "dynamodb": {"NewImage": image, "Keys": keys, "junk": image}, "extra": image}
    assert SECRET not in json.dumps(masked(record))
