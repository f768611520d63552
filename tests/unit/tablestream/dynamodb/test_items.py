"""Sizes of items and records are those that AWS has counted."""

from __future__ import annotations

from typing import Any

import pytest

from tablestream.dynamodb.items import item_bytes, record_bytes

FOO = {"my_partition_key": {"S": "hello world"}}
ID = {"id": {"S": "id_value"}}
ID_1 = {"id": {"S": "id_value_1"}}
FRED = {"id": {"S": "Fred"}}
NEW_KEY = {"id": {"S": "NewKey"}}
ATTRIBUTES = {"attr1": {"S": "value1"}, "attr2": {"S": "value2"}}
UPDATED = {"id": {"S": "my-item-id"}}

Image = dict[str, Any]

RECORDED: list[tuple[str, Image, Image | None, Image | None, int]] = [
    # name of the test that recorded it, Keys, NewImage, OldImage, SizeBytes
    ("event_source_mapping", FOO, FOO | {"binary_key": {"B": "Zm9vYmFy"}}, None, 70),
    ("event_source_mapping_with_s3_on_failure_destination", FOO, FOO, None, 54),
    ("event_filter[insert_same_entry_twice]", ID, ID | {"id2": {"S": "id2_value"}}, None, 32),
    ("event_filter[content_or_filter]", ID, ID, None, 20),
    ("event_filter[content_or_filter]", ID, ID | {"id2": {"S": "id2_new_value"}}, ID, 46),
    ("event_filter[content_filter_type]", ID_1, ID_1 | {"presentKey": {"S": "presentValue"}}, None, 46),
    ("event_filter[exists_false_filter]", ID_1, ID_1, None, 24),
    ("event_filter[numeric_filter]", ID_1, ID_1 | {"numericFilter": {"N": "42"}}, None, 39),
    ("event_filter[prefix_filter]", ID_1, ID_1 | {"prefix": {"S": "us-1-other-suffix"}}, None, 47),
    (
        "report_batch_item_failures",
        {"my_partition_key": {"S": "testId0"}},
        {"my_partition_key": {"S": "testId0"}, "should_fail": {"BOOL": False}},
        None,
        58,
    ),
    ("stream_stream_view_type", {"Username": {"S": "Fred"}}, None, None, 12),
    ("batch_write_items_streaming", NEW_KEY, None, NEW_KEY, 16),
    ("batch_write_items_streaming", FRED, FRED | {"name": {"S": "Fred"}}, FRED, 26),
    ("transact_write_items_streaming", NEW_KEY, NEW_KEY | ATTRIBUTES, NEW_KEY, 46),
    ("transact_write_items_streaming", NEW_KEY, None, NEW_KEY | ATTRIBUTES, 38),
    ("stream_records_with_update_item", UPDATED, UPDATED | ATTRIBUTES, None, 46),
    ("stream_records_with_update_item", UPDATED, UPDATED | ATTRIBUTES, UPDATED | ATTRIBUTES, 80),
]
"""Records that AWS sent, from the recordings of localstack/localstack at 8b9a79f05846835cf4dff63ab7eefdde9df83783.

The first ten are tests of `test_lambda_integration_dynamodbstreams.snapshot.json`, named `test_dynamodb_…`, under
`tests/aws/services/lambda_/event_source_mapping/`; the others of `test_dynamodb.snapshot.json`, named
`test_dynamodb_stream_…`, `test_batch_…` and `test_transact_…`, under `tests/aws/services/dynamodb/`.
"""


@pytest.mark.parametrize(("scenario", "keys", "new", "old", "size"), RECORDED)
def test_a_record_is_as_large_as_aws_said(
    scenario: str, keys: Image, new: Image | None, old: Image | None, size: int
) -> None:
    assert record_bytes(keys, new, old) == size, scenario


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"N": "0"}, 1),
        ({"N": "-0.00"}, 1),
        ({"N": "1"}, 2),
        ({"N": "10"}, 2),
        ({"N": "99"}, 2),
        ({"N": "100"}, 2),
        ({"N": "101"}, 3),
        ({"N": "1230"}, 3),
        ({"N": "12345"}, 4),
        ({"N": "10100"}, 3),
        ({"N": "0.12"}, 2),
        ({"N": "0.010"}, 2),
        ({"N": "1.5"}, 3),
        ({"N": "12.3"}, 3),
        ({"N": "100.5"}, 4),
        ({"N": "-12"}, 3),
        ({"N": "-0.5"}, 3),
        ({"N": "1E+3"}, 2),
        ({"N": "1E-130"}, 2),
        ({"N": "9.9999999999999999999999999999999999999E+125"}, 20),
        ({"N": "9" * 38}, 20),
        ({"NULL": True}, 1),
        ({"BOOL": True}, 1),
        ({"S": ""}, 0),
        ({"S": "é"}, 2),
        ({"S": "\N{GRINNING FACE}"}, 4),
        ({"B": "YWJj"}, 3),
        ({"B": "YWI="}, 2),
        ({"B": b"abc"}, 3),
        ({"B": ""}, 0),
        ({"L": []}, 3),
        ({"L": [{"S": "abc"}, {"N": "1"}]}, 10),
        ({"L": [{"M": {"x": {"L": [{"N": "12"}]}}}]}, 15),
        ({"M": {}}, 3),
        ({"M": {"a": {"S": "bc"}, "d": {"NULL": True}}}, 10),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "22", "-3"]}, 7),
        ({"BS": ["YWI=", "Yw=="]}, 3),
    ],
)
def test_a_value_takes_what_dynamodb_local_counts_for_it(value: Any, size: int) -> None:
    assert item_bytes({"name": value}) == len("name") + size


def test_names_count_in_utf8_too() -> None:
    assert item_bytes({"größe": {"NULL": True}, "": {"BOOL": False}}) == 7 + 1 + 1


@pytest.mark.parametrize("value", ["broken", None, {}, {"N": "many"}, {"N": "NaN"}, {"N": "Infinity"}, {"X": "a"}])
def test_what_dynamodb_would_not_write_counts_nothing(value: Any) -> None:
    assert item_bytes({"a": value}) == 1


def test_any_depth_can_be_measured() -> None:
    deep: dict[str, Any] = {"NULL": True}
    for _ in range(100_000):
        deep = {"L": [deep]}
    assert item_bytes({"a": deep}) == 1 + 100_000 * 4 + 1
