"""The event as a whole: what is not a batch of DynamoDB stream records for this worker is refused before any effect."""

from __future__ import annotations

from typing import Any

import pytest

from tablestream import InvalidEvent, Router
from tablestream._engine.intake import Consumer
from tablestream._engine.intake import records_of as _records_of
from tablestream._engine.invocation import SystemicCheck
from tablestream.testing import Record, event, inserted, record

ITEM = {"pk": "1", "sk": "A"}


def records_of(whole: object, table_name: str | None = None) -> list[Any]:
    """Return the records, all of them checked."""
    records = _records_of(whole)
    Consumer("worker", Router(), (), {}, table=table_name).take(records, SystemicCheck())
    return records


def changed(whole: dict[str, list[Record]], **fields: Any) -> dict[str, list[Record]]:
    """Return the event with some fields of its first record's stream part replaced; None leaves a field out."""
    first, *others = whole["Records"]
    stream = {name: value for name, value in {**first["dynamodb"], **fields}.items() if value is not None}
    return {"Records": [{**first, "dynamodb": stream}, *others]}


def test_a_batch_is_taken_as_it_is() -> None:
    whole = event(inserted(ITEM), inserted(ITEM))
    assert records_of(whole, "orders") == whole["Records"]
    assert records_of({"Records": []}) == []


@pytest.mark.parametrize(
    ("whole", "got"),
    [
        (None, "got a NoneType"),
        ("Records", "got a str"),
        ([], "got a list"),
        ({}, "got no Records in an event with the keys: none"),
        (
            {"detail-type": "x", "source": "y", "jane doe": "z"},
            "got no Records in an event with the keys: detail-type, source$",
        ),
        ({"Records": None}, "got no Records"),
        ({"Records": {"0": {}}}, "got Records of type dict"),
        ({"Records": [None]}, "record 0 is a NoneType"),
        ({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, "record 0 comes from aws:sqs"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "record 0 comes from aws:sns"),
        ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}, "record 0 comes from aws:kinesis"),
        ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, "record 0 comes from aws:s3"),
        ({"Records": [{"eventSource": "Jane Doe"}]}, "record 0 comes from a str that names none"),
        ({"Records": [{"eventSource": None}]}, "record 0 comes from a NoneType that names none"),
        ({"Records": [{"eventSource": "aws:dynamodb"}]}, "record 0 has no dynamodb object"),
        ({"Records": [{"eventSource": "aws:dynamodb", "dynamodb": []}]}, "record 0 has no dynamodb object"),
    ],
)
def test_an_event_of_another_kind_is_told_what_it_is_and_what_is_wanted(whole: object, got: str) -> None:
    with pytest.raises(InvalidEvent, match=rf"^wanted an event of a DynamoDB stream trigger.*{got}"):
        records_of(whole)


@pytest.mark.parametrize("number", [None, "", "Jane Doe", "12a", "-1", "1.0", "١٢", 12, ["1"], "1" * 129])
def test_a_sequence_number_is_digits(number: object) -> None:
    with pytest.raises(
        InvalidEvent, match=r"^wanted a SequenceNumber of digits in record 0, got a .* that is none"
    ) as caught:
        records_of(changed(event(inserted(ITEM)), SequenceNumber=number))
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("number", [None, "", "12a", 12, "1" * 129])
def test_the_second_record_is_checked_too(number: object) -> None:
    whole = event(inserted(ITEM), inserted(ITEM))
    whole["Records"][1]["dynamodb"]["SequenceNumber"] = number
    with pytest.raises(InvalidEvent, match="record 1"):
        records_of(whole)


def test_one_foreign_record_among_ours_is_found() -> None:
    foreign = {**inserted(ITEM), "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:orders"}
    with pytest.raises(InvalidEvent, match="record 1 comes from aws:sqs"):
        records_of({"Records": [inserted(ITEM), foreign, inserted(ITEM)]})


def test_records_of_another_table_are_refused_by_its_name() -> None:
    whole = event(inserted(ITEM), inserted(ITEM, table="users"))
    with pytest.raises(InvalidEvent, match=r"wanted records of the table orders, got arn:aws:dynamodb:.*:table/users$"):
        records_of(whole, "orders")
    assert len(records_of(whole)) == 2


@pytest.mark.parametrize(
    "arn", [None, "", "users", "Jane Doe", 7, "arn:aws:dynamodb:eu-west-1:1:table/my-orders/stream/x"]
)
def test_a_source_that_does_not_name_the_table_is_refused(arn: object) -> None:
    whole = {"Records": [{**inserted(ITEM), "eventSourceARN": arn}]}
    with pytest.raises(InvalidEvent, match="wanted records of the table orders, got") as caught:
        records_of(whole, "orders")
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"])
def test_a_stream_with_a_lesser_view_is_refused_by_the_setting_that_is_wrong(view: str) -> None:
    with pytest.raises(InvalidEvent, match=f"wanted a stream with the StreamViewType NEW_AND_OLD_IMAGES, got {view}"):
        records_of(event(inserted(ITEM, view=view)))


def test_a_batch_without_any_image_is_refused_even_when_the_view_is_not_told() -> None:
    bare = [changed(event(record("INSERT", ITEM)), StreamViewType=None)["Records"][0]] * 2
    with pytest.raises(InvalidEvent, match="StreamViewType NEW_AND_OLD_IMAGES, got no images in any record"):
        records_of({"Records": bare})
    assert records_of({"Records": [*bare, *event(inserted(ITEM))["Records"]]})


def test_a_single_record_without_images_may_be_the_only_bad_one() -> None:
    assert records_of(event(record("INSERT", ITEM)))


@pytest.mark.parametrize("view", [None, 7, "SOMETHING_NEW"])
def test_an_unknown_view_is_not_judged(view: object) -> None:
    assert records_of(changed(event(inserted(ITEM)), StreamViewType=view))


def test_a_table_that_is_told_by_its_arn_is_that_of_one_account_and_region() -> None:
    whole = event(inserted(ITEM))
    own = whole["Records"][0]["eventSourceARN"].partition("/stream/")[0]
    assert len(records_of(whole, own)) == 1
    for other in (own.replace("us-east-1", "eu-west-1"), own.replace("123456789012", "210987654321")):
        with pytest.raises(InvalidEvent, match="wanted records of the table arn:aws:dynamodb:"):
            records_of(whole, other)
