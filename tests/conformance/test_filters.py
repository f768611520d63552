"""Rules 27 to 32: filter patterns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.filters import FilterSet, InvalidFilterPattern
from local.settings import MappingSettings
from tablestream.testing import expired, inserted, modified, removed

ORDER = {
    "pk": "USER#1",
    "sk": "ORDER#1",
    "entityType": "Order",
    "total": 120,
    "note": "",
    "tags": {"red", "blue"},
    "gone": None,
    "lines": [{"product": "A"}, {"product": "B"}],
}


def passes(record: dict[str, Any], *patterns: dict[str, Any]) -> bool:
    return FilterSet.compile([json.dumps(pattern) for pattern in patterns]).matches(record)


def image(**attributes: object) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": attributes}}


def matches(**attributes: object) -> bool:
    return passes(inserted(ORDER), image(**attributes))


def test_rule_27_filters_are_ored_and_none_lets_everything_through() -> None:
    insert, remove = {"eventName": ["INSERT"]}, {"eventName": ["REMOVE"]}
    assert passes(inserted(ORDER))
    assert passes(inserted(ORDER), remove, insert)
    assert not passes(inserted(ORDER), remove)


def test_rule_27_keys_are_anded() -> None:
    assert matches(entityType={"S": ["Order"]}, pk={"S": ["USER#1"]})
    assert not matches(entityType={"S": ["Order"]}, pk={"S": ["USER#2"]})


def test_rule_27_values_of_a_list_are_ored() -> None:
    assert matches(entityType={"S": ["Customer", "Order"]})
    assert not matches(entityType={"S": ["Customer", "Product"]})


@pytest.mark.parametrize(
    ("condition", "text", "expected"),
    [
        ("Order", "Order", True),
        ("Order", "order", False),
        ("", "", True),
        ("", "x", False),
        ({"prefix": "ORDER#"}, "ORDER#1", True),
        ({"prefix": "ORDER#"}, "XORDER#", False),
        ({"prefix": {"equals-ignore-case": "order#"}}, "ORDER#1", True),
        ({"prefix": {"equals-ignore-case": "order#"}}, "USER#1", False),
        ({"suffix": "#1"}, "ORDER#1", True),
        ({"suffix": "#1"}, "ORDER#2", False),
        ({"suffix": {"equals-ignore-case": "#A"}}, "ORDER#a", True),
        ({"equals-ignore-case": "ORDER"}, "order", True),
        ({"equals-ignore-case": "ORDER"}, "orders", False),
        ({"anything-but": "a"}, "b", True),
        ({"anything-but": "a"}, "a", False),
        ({"anything-but": ["a", "b"]}, "b", False),
        ({"anything-but": ["a", "b"]}, "c", True),
        ({"anything-but": {"prefix": "tmp-"}}, "x", True),
        ({"anything-but": {"prefix": "tmp-"}}, "tmp-x", False),
        ({"anything-but": {"suffix": "-tmp"}}, "x-tmp", False),
        ({"anything-but": {"equals-ignore-case": ["A", "B"]}}, "b", False),
        ({"exists": True}, "x", True),
        ({"exists": False}, "x", False),
    ],
)
def test_rule_27_operators_on_text(condition: object, text: str, expected: bool) -> None:
    assert passes(inserted({"pk": "P", "sk": "S", "text": text}), image(text={"S": [condition]})) is expected


def test_rule_27_null_and_json_equality() -> None:
    record = {"a": None, "t": True, "n": 1, "d": 1.0, "s": "1"}
    assert passes(record, {"a": [None]})
    assert not passes(record, {"s": [None]})
    assert passes(record, {"t": [True]})
    assert not passes(record, {"t": [1]})
    assert not passes(record, {"n": [True]})
    assert passes(record, {"n": [1.0]})
    assert passes(record, {"d": [1]})
    assert not passes(record, {"s": [1]})


def test_rule_27_or_over_several_keys() -> None:
    either = {"$or": [{"dynamodb": {"Keys": {"pk": {"S": ["USER#9"]}}}}, {"eventName": ["INSERT"]}]}
    assert passes(inserted(ORDER), either)
    assert not passes(removed(ORDER), either)
    assert not passes(inserted(ORDER), {**either, "eventSource": ["aws:kinesis"]})


def test_rule_27_no_operator_but_exists_false_matches_what_is_absent() -> None:
    for condition in ("x", None, {"anything-but": "x"}, {"prefix": ""}, {"numeric": ["<", 9]}, {"exists": True}):
        assert not matches(absent={"S": [condition]})
    assert matches(absent={"S": [{"exists": False}]})


def test_rule_28_patterns_match_dynamodb_json_with_its_type_tags() -> None:
    assert matches(entityType={"S": ["Order"]})
    assert not matches(entityType=["Order"])
    assert matches(gone={"NULL": [True]})


def test_rule_28_an_array_matches_by_any_of_its_elements() -> None:
    assert matches(tags={"SS": ["red"]})
    assert not matches(tags={"SS": ["green"]})
    assert matches(lines={"L": {"M": {"product": {"S": ["B"]}}}})
    assert not matches(lines={"L": {"M": {"product": {"S": ["C"]}}}})


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (["=", 100], True),
        (["=", 101], False),
        ([">", 99, "<=", 100], True),
        ([">", 100], False),
        ([">=", 100, "<", 100], False),
        (["<", 100.5], True),
    ],
)
def test_rule_29_numeric_matches_the_creation_time(comparison: list[Any], expected: bool) -> None:
    pattern = {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": comparison}]}}
    assert passes(inserted(ORDER, at=100), pattern) is expected


def test_rule_29_numeric_never_matches_an_n_attribute() -> None:
    assert not matches(total={"N": [{"numeric": [">", 0]}]})
    assert not matches(total={"N": [120]})
    assert matches(total={"N": ["120"]})


def test_rule_30_exists_works_on_leaves_only() -> None:
    assert matches(entityType=[{"exists": False}])
    assert not matches(entityType=[{"exists": True}])
    assert matches(entityType={"S": [{"exists": True}]})
    assert not matches(entityType={"S": [{"exists": False}]})


def test_rule_30_an_absent_parent_has_no_leaves() -> None:
    without_image = {"dynamodb": {"NewImage": {"entityType": {"S": [{"exists": False}]}}}}
    assert passes(removed(ORDER), without_image)


def test_rule_31_event_name_and_user_identity() -> None:
    by_ttl = {"userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]}}
    assert passes(expired(ORDER), by_ttl)
    assert not passes(removed(ORDER), by_ttl)
    assert passes(modified(ORDER, ORDER), {"eventName": ["MODIFY"]})
    assert not passes(inserted(ORDER), {"eventName": ["MODIFY"]})


@pytest.mark.parametrize(
    "pattern",
    [
        "not json",
        "",
        "[]",
        '"text"',
        "{}",
        '{"a": {}}',
        '{"a": []}',
        '{"a": "bare value"}',
        '{"a": [["nested"]]}',
        '{"a": [{"wildcard": "*"}]}',
        '{"a": [{"prefix": "x", "suffix": "y"}]}',
        '{"a": [{"prefix": 1}]}',
        '{"a": [{"exists": "yes"}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": ["!", 1]}]}',
        '{"a": [{"numeric": [">", "1"]}]}',
        '{"a": [{"numeric": [">", true]}]}',
        '{"a": [{"numeric": 5}]}',
        '{"a": [{"anything-but": []}]}',
        '{"a": [{"anything-but": [{"prefix": "x"}]}]}',
        '{"a": [{"anything-but": {"numeric": ["=", 1]}}]}',
        '{"$or": [{"a": [1]}]}',
        '{"$or": {"a": [1]}}',
        '{"a": [NaN]}',
        '{"a":' * 600 + "[1]" + "}" * 600,
    ],
)
def test_rule_32_a_bad_pattern_is_refused_with_the_services_words(pattern: str) -> None:
    with pytest.raises(InvalidFilterPattern, match=r"^Invalid filter pattern definition\."):
        FilterSet.compile([pattern])
    with pytest.raises(InvalidFilterPattern):
        MappingSettings(filters=(pattern,))
