"""The rules of a store of dead letters, kept by the one of the test kit and by the one in S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import boto3
import pytest
from moto import mock_aws

from tablestream import DONE, DeadLetter, DeadLetters, Done, Run, Transient
from tablestream.sinks import S3DeadLetters
from tablestream.testing import CREATED, MemoryDeadLetters, inserted

BUCKET = "failures"


@dataclass
class Subject:
    """A store of dead letters, the names of what it holds, and what can happen to it."""

    letters: DeadLetters
    stored: Callable[[], list[str]]
    go_down: Callable[[], object]


def in_memory() -> Subject:
    letters = MemoryDeadLetters()
    return Subject(
        letters, lambda: sorted(letters.letters), lambda: setattr(letters, "failure", Transient(OSError("down")))
    )


@pytest.fixture(params=["test kit", "moto"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "test kit":
        yield in_memory()
        return
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="k")
        s3.create_bucket(Bucket=BUCKET)

        def stored() -> list[str]:
            return sorted(entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))

        yield Subject(S3DeadLetters(s3, BUCKET), stored, lambda: s3.delete_bucket(Bucket=BUCKET))


def letter(event_id: str = "e-1", sequence_number: str = "7", time: float = CREATED) -> DeadLetter:
    record = inserted({"pk": "a", "sk": "b"}, at=CREATED)
    return DeadLetter(record, event_id, sequence_number, "no lines", "InvalidRecord", "shop.handler", time, "1.0")


def test_each_letter_is_stored_under_its_key_and_answered(subject: Subject) -> None:
    letters = [letter(f"e-{number}") for number in range(12)]
    assert subject.letters.store(letters, Run()) == [DONE] * 12
    assert subject.stored() == sorted(map(subject.letters.key, letters))


def test_nothing_to_store_is_nothing_to_answer(subject: Subject) -> None:
    assert list(subject.letters.store([], Run())) == []
    assert subject.stored() == []


def test_storing_again_replaces_also_on_another_day_and_for_another_reason(subject: Subject) -> None:
    first = letter()
    later = first._replace(time=CREATED + 86_400, reason="no total", worker_version="1.1")
    for each in (first, later):
        assert subject.letters.store([each], Run()) == [DONE]
    assert subject.stored() == [subject.letters.key(first)] == [subject.letters.key(later)]


def test_records_of_one_event_id_or_one_sequence_number_are_two(subject: Subject) -> None:
    letters = [letter("e-1", "7"), letter("e-1", "8"), letter("e-2", "7")]
    subject.letters.store(letters, Run())
    assert len(subject.stored()) == 3


def test_a_store_that_is_down_answers_for_each_letter_and_raises_nothing(subject: Subject) -> None:
    subject.go_down()
    answers = subject.letters.store([letter("e-1"), letter("e-2")], Run())
    assert len(answers) == 2
    assert not any(isinstance(answer, Done) for answer in answers)
