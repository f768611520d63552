"""What is asked of many records at once says the same as what looks at one record carefully."""

from __future__ import annotations

import contextlib
import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from tablestream import InvalidRecord
from tablestream.change import event_id_of, item_key_of
from tablestream.columns import event_ids_of, identities_of
from tablestream.testing import inserted

NEW = {"pk": "USER#1", "sk": "ORDER#1"}
TAGGED = st.one_of(
    st.fixed_dictionaries({"S": st.sampled_from(["a", "b", ""])}),
    st.fixed_dictionaries({"N": st.sampled_from(["1", "2"])}),
    st.sampled_from([None, "a", ["S"], {}, {"S": ["a"]}, {"S": None}, {"S": "a", "N": "1"}]),
)
KEYS = st.one_of(
    st.fixed_dictionaries({"pk": TAGGED, "sk": TAGGED}),
    st.fixed_dictionaries({"sk": TAGGED, "pk": TAGGED}),
    st.fixed_dictionaries({"pk": TAGGED}),
    st.fixed_dictionaries({"pk": TAGGED, "sk": TAGGED, "third": TAGGED}),
    st.fixed_dictionaries({"pk": TAGGED, "other": TAGGED}),
    st.sampled_from([None, {}, [], "ab", ["pk", "sk"]]),
)


@given(st.lists(KEYS, min_size=1, max_size=6))
@example([{"pk": {"S": "a"}, "sk": "broken"}])
@example([{"pk": {"S": "a"}, "sk": {"S": "b"}}, {"pk": {"S": "a"}, "sk": {"S": "c"}}])
@example([{"pk": {"S": "a"}, "sk": {"S": "b"}}, {"pk": {"S": "a"}, "sk": {"S": "b"}}])
@example(
    [
        {"pk": {"S": "a"}, "sk": {"S": "b"}},
        {"pk": {"S": "a"}, "sk": {"S": "b"}, "third": {"S": "c"}},
    ]
)
@example([{"pk": {"S": "a"}, "sk": {"S": "b"}}, {"pk": {"S": "a", "N": "1"}, "sk": {"S": "b"}}])
@example([{"pk": {"S": "a"}, "sk": {"S": "b"}}, {"sk": {"S": "b"}, "pk": {"S": "a"}}])
def test_the_quick_way_to_an_identity_never_parts_the_changes_of_an_item(keys: list[object]) -> None:
    records = [{"eventSourceARN": "orders", "dynamodb": {"Keys": each}} for each in keys]
    quick = identities_of(records, records[0])
    if quick is None:
        return
    for one, other in itertools.combinations(range(len(keys)), 2):
        with contextlib.suppress(InvalidRecord):
            if item_key_of(records[one]) == item_key_of(records[other]):
                assert quick[one] == quick[other]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12")), min_size=1, max_size=6))
def test_plain_keys_go_the_quick_way_and_tell_different_items_apart(items: list[tuple[str, str]]) -> None:
    records = [{"eventSourceARN": "orders", "dynamodb": {"Keys": {"pk": {"S": a}, "sk": {"N": b}}}} for a, b in items]
    assert identities_of(records, records[0]) == items
    assert identities_of([], records[0]) == []


@given(st.lists(st.sampled_from(["0" * 32, "a1" * 16, "A" * 33, "short", "", "no-letter " * 3, "é" * 32, None, 7])))
def test_event_ids_are_the_same_asked_for_all_at_once(event_ids: list[object]) -> None:
    records = [{**inserted(NEW, sequence_number=n + 1), "eventID": each} for n, each in enumerate(event_ids)]
    assert event_ids_of(records) == [event_id_of(record) for record in records]
