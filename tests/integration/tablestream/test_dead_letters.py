"""Dead letters in S3: where they are, what they hold, and that a letter stored again replaces itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tablestream import DONE, DeadLetter, Deadline, Run, Transient
from tablestream.sinks import S3DeadLetters
from tablestream.testing import CREATED, Record, client_error, inserted
from tests.support.shop_aws import BUCKET, ShopAws, shop_aws

ITEM = {"pk": "USER#1", "sk": "ORDER#1", "name": "Zoë"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopAws]:
    with shop_aws(monkeypatch) as made:
        yield made


def letter(event_id: str = "abc", *, record: Record | None = None, reason: str = "no lines") -> DeadLetter:
    return DeadLetter(
        record=inserted(ITEM) if record is None else record,
        event_id=event_id,
        sequence_number="42",
        reason=reason,
        error_class="InvalidRecord",
        handler="shop.handlers.order_placed",
        time=CREATED + 3600.25,
        worker_version="1.2.3",
    )


def stored(aws: ShopAws) -> dict[str, dict[str, Any]]:
    listed = aws.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        entry["Key"]: json.loads(aws.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()) for entry in listed
    }


def test_a_letter_is_an_object_with_all_that_is_needed_to_mend_and_redrive(aws: ShopAws) -> None:
    assert S3DeadLetters(aws.s3, BUCKET).store([letter()], Run()) == [DONE]
    assert stored(aws) == {
        "dead-letters/2025/11/20/abc-42.json": {
            "record": inserted(ITEM),
            "event_id": "abc",
            "sequence_number": "42",
            "reason": "no lines",
            "error_class": "InvalidRecord",
            "handler": "shop.handlers.order_placed",
            "time": "2025-11-20T13:00:00.250+00:00",
            "first_time": "2025-11-20T13:00:00.250+00:00",
            "worker_version": "1.2.3",
        }
    }
    head = aws.s3.head_object(Bucket=BUCKET, Key="dead-letters/2025/11/20/abc-42.json")
    assert head["ContentType"] == "application/json"


def test_the_day_is_that_of_the_change_or_else_of_storing(aws: ShopAws) -> None:
    letters = S3DeadLetters(aws.s3, BUCKET, prefix="elsewhere/")
    late = letter("late", record=inserted(ITEM, at=CREATED - 86_400))
    unknown = letter("unknown", record=inserted(ITEM, at=0))
    assert [letters.key(late), letters.key(unknown)] == [
        "elsewhere/2025/11/19/late-42.json",
        "elsewhere/2025/11/20/unknown-42.json",
    ]


def test_redelivery_replaces_the_letter(aws: ShopAws) -> None:
    letters = S3DeadLetters(aws.s3, BUCKET)
    for reason in ("first", "second"):
        letters.store([letter(reason=reason)], Run())
    assert [body["reason"] for body in stored(aws).values()] == ["second"]


@pytest.mark.parametrize(
    ("told", "first"),
    [
        ("2025-11-01T09:00:00.500+00:00", "2025-11-01T09:00:00.500+00:00"),
        ("2025-11-01T10:00:00.500+01:00", "2025-11-01T09:00:00.500+00:00"),
        ("2031-01-01T00:00:00+00:00", "2025-11-20T13:00:00.250+00:00"),  # after it was stored: nonsense
        ("0001-01-01T00:00:00+23:00", "2025-11-20T13:00:00.250+00:00"),  # before the year 1
        ("yesterday", "2025-11-20T13:00:00.250+00:00"),
        (1762000000, "2025-11-20T13:00:00.250+00:00"),
    ],
)
def test_a_redriven_record_keeps_the_time_at_which_it_was_first_set_aside(
    aws: ShopAws, told: object, first: str
) -> None:
    record = {**inserted(ITEM), "redriven": True, "firstTime": told}
    S3DeadLetters(aws.s3, BUCKET).store([letter(record=record)], Run())
    (body,) = stored(aws).values()
    assert (body["first_time"], body["time"]) == (first, "2025-11-20T13:00:00.250+00:00")


def test_a_lone_surrogate_survives(aws: ShopAws) -> None:
    record = inserted({**ITEM, "name": "\ud800"})
    assert S3DeadLetters(aws.s3, BUCKET).store([letter(record=record, reason="got '\ud800'")], Run()) == [DONE]
    (body,) = stored(aws).values()
    assert (body["record"], body["reason"]) == (record, "got '\ud800'")


def test_each_letter_has_its_own_answer(aws: ShopAws) -> None:
    answers = S3DeadLetters(aws.s3, "no-such-bucket").store([letter("a"), letter("b")], Run())
    assert [type(answer.error) for answer in answers if isinstance(answer, Transient)] == [
        aws.s3.exceptions.NoSuchBucket
    ] * 2
    assert stored(aws) == {}


class FailingFor:
    """A client that refuses the objects of one event."""

    def __init__(self, client: Any, event_id: str) -> None:
        self._client, self._event_id = client, event_id

    def put_object(self, **request: Any) -> Any:
        if self._event_id in request["Key"]:
            raise client_error("SlowDown", "PutObject", status=503)
        return self._client.put_object(**request)


def test_a_letter_that_fails_keeps_no_other_from_being_stored(aws: ShopAws) -> None:
    letters = S3DeadLetters(cast("Any", FailingFor(aws.s3, "bad")), BUCKET)
    first, second, third = letters.store([letter("a"), letter("bad"), letter("c")], Run())
    assert (first, type(second), third) == (DONE, Transient, DONE)
    assert [body["event_id"] for body in stored(aws).values()] == ["a", "c"]


def test_a_letter_that_is_no_json_keeps_no_other_from_being_stored(aws: ShopAws) -> None:
    unwritable = {**inserted(ITEM), "extra": {1, 2}}
    first, second = S3DeadLetters(aws.s3, BUCKET).store([letter("bad", record=unwritable), letter("b")], Run())
    assert (type(first), second) == (Transient, DONE)


def test_nothing_is_stored_after_the_deadline(aws: ShopAws) -> None:
    (answer,) = S3DeadLetters(aws.s3, BUCKET).store([letter()], Run(Deadline(lambda: 0.0)))
    assert isinstance(answer, Transient)
    assert isinstance(answer.error, TimeoutError)
    assert stored(aws) == {}
