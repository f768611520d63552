"""A change: what one record says about an item."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tablestream import Change, InvalidRecord, Kind
from tablestream.change import creation_of, event_id_of, item_key_of, key_hash_of
from tablestream.testing import CREATED, Record, expired, inserted, modified, removed

OLD = {"pk": "USER#1", "sk": "ORDER#1", "status": "pending", "tags": {"a", "b"}}
NEW = {**OLD, "status": "confirmed"}


def with_stream(record: Record, **fields: Any) -> Record:
    """Return the record with some fields of its stream part replaced; None leaves a field out."""
    stream = {**record["dynamodb"], **fields}
    return {**record, "dynamodb": {name: value for name, value in stream.items() if value is not None}}


@pytest.mark.parametrize(
    ("record", "kind", "old", "new"),
    [
        (inserted(NEW), Kind.INSERT, None, NEW),
        (modified(OLD, NEW), Kind.MODIFY, OLD, NEW),
        (removed(OLD), Kind.REMOVE, OLD, None),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else None,
)
def test_each_kind_has_its_images(record: Record, kind: Kind, old: object, new: object) -> None:
    change = Change.from_record(record)
    assert change.kind is kind
    for name, image in (("old", old), ("new", new)):
        if image is None:
            with pytest.raises(AttributeError, match=f"an? {kind.value} has no {name} image"):
                getattr(change, name)
        else:
            assert dict(getattr(change, name)) == image
    assert dict(change.image) == (new or old)
    assert dict(change.keys) == {"pk": "USER#1", "sk": "ORDER#1"}
    assert change.raw_keys == {"pk": {"S": "USER#1"}, "sk": {"S": "ORDER#1"}}
    assert change.record is record


@pytest.mark.parametrize(
    ("record", "missing"),
    [
        (inserted(NEW), "NewImage"),
        (modified(OLD, NEW), "NewImage"),
        (modified(OLD, NEW), "OldImage"),
        (removed(OLD), "OldImage"),
    ],
)
@pytest.mark.parametrize("instead", [None, [], "text"])
def test_an_image_that_is_missing_is_named(record: Record, missing: str, instead: object) -> None:
    with pytest.raises(InvalidRecord, match=f"wanted {missing} on"):
        Change.from_record(with_stream(record, **{missing: instead}))


@pytest.mark.parametrize("name", ["UPSERT", "insert", "", None, 1, ["INSERT"]])
def test_an_unknown_event_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidRecord, match="wanted eventName INSERT, MODIFY or REMOVE, got"):
        Change.from_record({**inserted(NEW), "eventName": name})


def test_what_changed_is_told_by_raw_values() -> None:
    change = Change.from_record(modified(OLD, {**NEW, "added": 1}))
    assert change.changed("status")
    assert change.changed("tags", "status")
    assert change.changed("added")
    assert not change.changed("tags", "pk", "never there")
    assert not change.changed()


def test_an_insert_and_a_removal_change_every_attribute_that_the_item_has() -> None:
    for change in (Change.from_record(inserted(OLD)), Change.from_record(removed(OLD))):
        assert change.changed("status")
        assert not change.changed("never there")


def test_only_a_removal_by_time_to_live_is_expired() -> None:
    assert Change.from_record(expired(OLD)).expired
    assert not Change.from_record(removed(OLD)).expired
    assert not Change.from_record({**inserted(OLD), "userIdentity": expired(OLD)["userIdentity"]}).expired


@pytest.mark.parametrize("who", [None, "dynamodb.amazonaws.com", {}, {"principalId": "AIDA"}])
def test_a_removal_by_somebody_else_is_no_expiry(who: object) -> None:
    assert not Change.from_record({**removed(OLD), "userIdentity": who}).expired


@pytest.mark.parametrize(
    ("ttl", "expired"),
    [(CREATED - 1, True), (CREATED + 1, False), (str(CREATED), False), (10**13, False), (None, False)],
)
def test_where_the_stream_says_nothing_a_ttl_in_the_past_tells_of_an_expiry(ttl: Any, expired: bool) -> None:
    value = int(ttl) if isinstance(ttl, float) else ttl
    assert Change.from_record(removed({**OLD, "ttl": value})).expired is expired
    assert not Change.from_record(inserted({**OLD, "ttl": value})).expired


def test_a_change_says_where_it_was_made() -> None:
    change = Change.from_record(inserted(OLD))
    assert (change.region, change.replicated) == ("us-east-1", False)
    assert Change.from_record(inserted({**OLD, "aws:rep:updateregion": "eu-west-1"})).replicated
    assert Change.from_record(removed({**OLD, "aws:rep:updateregion": "eu-west-1"})).replicated
    assert not Change.from_record(inserted({**OLD, "aws:rep:updateregion": "us-east-1"})).replicated
    assert Change.from_record({**inserted(OLD), "awsRegion": None}).region is None


@pytest.mark.parametrize(("mark", "redriven"), [(True, True), (False, False), ("true", False), (1, False)])
def test_a_redriven_record_says_so(mark: object, redriven: bool) -> None:
    assert Change.from_record({**inserted(NEW), "redriven": mark}).redriven is redriven
    assert not Change.from_record(inserted(NEW)).redriven


@pytest.mark.parametrize("marks", [{"redriven": True}, {"replayed": True}, {"redriven": True, "replayed": True}, {}])
def test_a_record_that_an_operator_sent_says_so(marks: dict[str, bool]) -> None:
    assert Change.from_record({**inserted(NEW), **marks}).sent_again is bool(marks)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (CREATED, CREATED),
        (1_763_640_000, 1_763_640_000.0),
        (None, None),
        ("2025-11-20", None),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (0, None),
        (-1, None),
        (1_763_640_000_000, None),
        (10**400, None),
    ],
)
def test_an_absurd_time_of_creation_is_ignored(given: object, told: float | None) -> None:
    record = with_stream(inserted(NEW), ApproximateCreationDateTime=given)
    assert creation_of(record) == told
    assert Change.from_record(record).approximate_creation == told


@pytest.mark.parametrize("event_id", [None, "", 7, "../secret", "a/b", "x" * 129, "a\n", "ü"])
def test_the_sequence_number_stands_in_for_an_event_id_that_cannot_name_an_object(event_id: object) -> None:
    record = {**inserted(NEW, sequence_number=42), "eventID": event_id}
    assert event_id_of(record) == "42"


def test_an_event_id_is_taken_as_it_is() -> None:
    assert event_id_of({**inserted(NEW), "eventID": "c4ca4238_a0b9-23"}) == "c4ca4238_a0b9-23"
    assert Change.from_record(inserted(NEW)).event_id == inserted(NEW)["eventID"]


def test_an_item_is_known_by_its_table_and_its_full_key() -> None:
    same = {**NEW, "status": "shipped"}
    assert item_key_of(inserted(NEW)) == item_key_of(removed(same))
    assert Change.from_record(inserted(NEW)).item_key == item_key_of(inserted(NEW))
    for other in (inserted({**NEW, "sk": "ORDER#2"}), inserted({**NEW, "pk": "USER#2"}), inserted(NEW, table="other")):
        assert item_key_of(other) != item_key_of(inserted(NEW))


def test_the_order_in_which_keys_are_written_does_not_matter() -> None:
    keys = {"sk": {"S": "ORDER#1"}, "pk": {"S": "USER#1"}}
    assert item_key_of(with_stream(inserted(NEW), Keys=keys)) == item_key_of(inserted(NEW))


def test_text_and_number_are_different_keys() -> None:
    one, other = ({"pk": {tag: "1"}} for tag in ("S", "N"))
    assert item_key_of(with_stream(inserted(NEW), Keys=one)) != item_key_of(with_stream(inserted(NEW), Keys=other))


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("keys", [None, {}, [], "USER#1", {"pk": "USER#1"}, {"pk": {"S": ["a"]}}])
def test_keys_that_are_no_scalars_are_refused(keys: object) -> None:
    refused(keys)


@pytest.mark.parametrize("within", [lambda keys: keys, lambda keys: {"pk": {"S": keys}}], ids=["keys", "value"])
def test_keys_that_are_nested_without_end_are_refused(within: Callable[[object], object]) -> None:
    refused(within(deep(100_000)))


def refused(keys: object) -> None:
    record = with_stream(inserted(NEW), Keys=keys)
    with pytest.raises(InvalidRecord, match="wanted the item's Keys, got"):
        item_key_of(record)
    assert key_hash_of(record) == "invalid-key"


@pytest.mark.parametrize("keys", [None, {}, "USER#1"])
def test_the_keys_of_a_change_are_there_or_refused(keys: object) -> None:
    with pytest.raises(InvalidRecord, match="wanted the item's Keys"):
        _ = Change.from_record(with_stream(inserted(NEW), Keys=keys)).keys


def test_the_hash_of_a_key_is_short_stable_and_tells_nothing() -> None:
    one = Change.from_record(inserted({**NEW, "pk": "USER#jane@example.com"}))
    other = Change.from_record(inserted({**NEW, "pk": "USER#john@example.com"}))
    assert one.key_hash == Change.from_record(removed({**OLD, "pk": "USER#jane@example.com"})).key_hash
    assert one.key_hash != other.key_hash
    assert (len(one.key_hash), int(one.key_hash, 16) > 0) == (12, True)


def test_a_lone_surrogate_in_a_key_has_a_hash() -> None:
    assert len(Change.from_record(inserted({**NEW, "pk": "USER#\ud800"})).key_hash) == 12


def test_its_repr_holds_no_keys_and_no_images() -> None:
    shown = repr(Change.from_record(inserted(NEW, sequence_number=7)))
    assert shown == f"Change(INSERT, event_id={inserted(NEW, sequence_number=7)['eventID']!r}, sequence_number='7')"
