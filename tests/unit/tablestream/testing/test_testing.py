"""The test kit: builders make records as Lambda delivers them, stand-ins do what they are told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tablestream import DeadLetter, JournalUnavailable, Permanent, Run, Worker
from tablestream.testing import (
    CREATED,
    MemoryDeadLetters,
    MemoryJournal,
    RecordingSink,
    event,
    expired,
    inserted,
    modified,
    record,
    removed,
)

ITEM = {"pk": "USER#1", "sk": "ORDER#1", "total": Decimal("9.90")}


def test_a_record_has_every_field_that_lambda_sends() -> None:
    made = inserted(ITEM, sequence_number=7, at=CREATED + 1, table="orders")
    assert made == {
        "eventID": made["eventID"],
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": CREATED + 1,
            "Keys": {"pk": {"S": "USER#1"}, "sk": {"S": "ORDER#1"}},
            "NewImage": {"pk": {"S": "USER#1"}, "sk": {"S": "ORDER#1"}, "total": {"N": "9.9"}},
            "SequenceNumber": "7",
            "SizeBytes": 2 * (len("pkUSER#1") + len("skORDER#1")) + len("total") + 3,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2025-01-01T00:00:00.000",
    }


def test_each_kind_carries_the_images_that_it_has() -> None:
    images = ("NewImage", "OldImage")
    for made, name, has in (
        (inserted(ITEM), "INSERT", ["NewImage"]),
        (modified(ITEM, ITEM), "MODIFY", ["NewImage", "OldImage"]),
        (removed(ITEM), "REMOVE", ["OldImage"]),
        (expired(ITEM), "REMOVE", ["OldImage"]),
        (record("INSERT", ITEM), "INSERT", []),
    ):
        assert made["eventName"] == name
        assert [image for image in images if image in made["dynamodb"]] == has


def test_an_expiry_says_who_removed_the_item() -> None:
    assert expired(ITEM)["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert "userIdentity" not in removed(ITEM)


def test_an_event_numbers_its_records_and_their_ids_follow_from_their_content() -> None:
    whole = event(inserted(ITEM), inserted(ITEM), removed(ITEM, sequence_number="5"))
    first, second, third = (each["dynamodb"]["SequenceNumber"] for each in whole["Records"])
    assert (int(second) - int(first), third) == (1, "5")
    assert len({each["eventID"] for each in whole["Records"]}) == 3
    assert whole == event(inserted(ITEM), inserted(ITEM), removed(ITEM, sequence_number="5"))


def test_the_same_record_given_twice_is_a_duplicate_but_no_alias() -> None:
    made = inserted(ITEM)
    one, _, other = event(made, removed(ITEM), made)["Records"]
    assert one == other
    assert one["dynamodb"] is not other["dynamodb"]


def test_a_journal_in_memory_remembers_and_can_be_down() -> None:
    journal = MemoryJournal()
    journal.record({"a": frozenset({"mail:0"})}, Run())
    journal.unreadable = {"c"}
    assert journal.read(["a", "b", "c"], Run()) == {"a": frozenset({"mail:0"}), "b": frozenset()}
    journal.down = True
    assert journal.read(["a"], Run()) == {}
    with pytest.raises(JournalUnavailable):
        journal.record({}, Run())


def test_dead_letters_in_memory_replace_each_other_by_event_id_and_can_fail() -> None:
    letters = MemoryDeadLetters()

    def letter(event_id: str, reason: str) -> DeadLetter:
        return DeadLetter({}, event_id, "1", reason, "InvalidRecord", None, CREATED, "1.0")

    letters.store([letter("a", "first"), letter("b", "other"), letter("a", "second")], Run())
    assert letters.reasons == ["second", "other"]
    letters.failure = Permanent("full")
    assert letters.store([letter("c", "third")], Run()) == [Permanent("full")]
    assert letters.reasons == ["second", "other"]


def test_a_simulation_takes_a_worker_on_sinks_of_its_own() -> None:
    worker = Worker(sinks=[RecordingSink((str,), "texts"), RecordingSink((int,), "numbers")])
    consumer = worker.tested().on(lambda sink: RecordingSink(sink.takes, f"other {sink.name}"))
    assert [sink.name for sink in consumer.sinks] == ["other texts", "other numbers"]
    assert consumer.sink_of == {str: 0, int: 1}
