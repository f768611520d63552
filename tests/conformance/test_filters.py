"""Rules 27 to 32: filter patterns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tablestream.local.delivery.filters import FilterSet, InvalidFilterPattern, never_matching
from tablestream.local.delivery.mapping import MappingSettings, read_mapping
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
        ({"prefix": ""}, "ORDER#1", True),
        ({"suffix": ""}, "ORDER#1", True),
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
        ({"anything-but": {"prefix": ["tmp-", "old-"]}}, "old-x", False),
        ({"anything-but": 5}, "x", True),
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
        ([">=", 100, "<", 100.5], True),
        ([">", 99, "<", 100], False),
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


@pytest.mark.parametrize(
    ("value", "there"),
    [("text", True), (None, True), (0, True), (["text"], True), ([{}, "text"], True), ([], False), ([{}], False)],
    ids=repr,
)
def test_rule_30_a_list_exists_as_its_leaves(value: object, there: bool) -> None:
    assert passes({"a": value}, {"a": [{"exists": True}]}) is there
    assert passes({"a": value}, {"a": [{"exists": False}]}) is not there


def test_rule_30_an_attribute_is_absent_if_no_element_of_a_list_has_it() -> None:
    products = image(lines={"L": {"M": {"product": {"S": [{"exists": False}]}}}})
    prices = image(lines={"L": {"M": {"price": {"N": [{"exists": False}]}}}})
    mixed = inserted({**ORDER, "lines": [{"product": "A"}, {"price": 1}]})
    assert not passes(mixed, products)
    assert not passes(mixed, prices)
    assert passes(inserted(ORDER), prices)


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
        '{"a": [{"anything-but": null}]}',
        '{"a": [{"anything-but": ["x", null]}]}',
        '{"a": [{"anything-but": true}]}',
        '{"a": [{"anything-but": ["x", 1]}]}',
        '{"a": [{"anything-but": {"prefix": ""}}]}',
        '{"a": [{"anything-but": {"prefix": ["x", ""]}}]}',
        '{"a": [{"anything-but": {"prefix": []}}]}',
        '{"a": [{"anything-but": {"suffix": ""}}]}',
        '{"a": [{"anything-but": {"suffix": null}}]}',
        '{"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]}',
        '{"a": [{"anything-but": {"suffix": {"equals-ignore-case": "x"}}}]}',
        '{"a": [{"anything-but": {"equals-ignore-case": 1}}]}',
        '{"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]}',
        '{"a": [{"equals-ignore-case": {"prefix": "x"}}]}',
        '{"a": [{"prefix": {"suffix": "x"}}]}',
        '{"a": [{"suffix": ["x"]}]}',
        '{"a": [{"NUMERIC": ["=", 1]}]}',
        '{"a": [{"numeric": [">", 0, ">", 0]}]}',
        '{"a": [{"numeric": [">", 0, ">=", 5]}]}',
        '{"a": [{"numeric": ["<", 5, ">", 0]}]}',
        '{"a": [{"numeric": ["<", 5, "<=", 6]}]}',
        '{"a": [{"numeric": ["=", 5, "<", 6]}]}',
        '{"a": [{"numeric": [">", 0, "=", 6]}]}',
        '{"a": [{"numeric": [">=", 5, "<=", 5]}]}',
        '{"a": [{"numeric": [">", 0, "<"]}]}',
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


@pytest.mark.parametrize(
    ("pattern", "doubt"),
    [
        (image(total={"N": [{"numeric": [">", 0]}]}), "dynamodb.NewImage.total.N: numeric never matches"),
        (image(total={"N": ["120", 120]}), "dynamodb.NewImage.total.N: 120 never matches, as the value is text"),
        (image(a={"M": {"b": {"N": [{"numeric": ["=", 1]}]}}}), "dynamodb.NewImage.a.M.b.N: numeric never matches"),
        (image(a={"L": {"M": {"b": {"N": [1]}}}}), "dynamodb.NewImage.a.L.M.b.N: 1 never matches"),
        ({"$or": [{"eventName": ["INSERT"]}, image(a={"NS": [1]})]}, "dynamodb.NewImage.a.NS: 1 never matches"),
        (image(**{"$or": [{"a": {"N": [1]}}, {"b": {"N": ["1"]}}]}), "dynamodb.NewImage.a.N: 1 never matches"),
        ({"dynamodb": {"Keys": {"pk": ["x"]}}}, "dynamodb.Keys.pk names no type"),
        ({"dynamodb": {"OldImage": {"a": {"b": {"S": ["x"]}}}}}, "there is no type b in a stream record"),
        (image(a={"BOOL": ["true"]}), 'dynamodb.NewImage.a.BOOL: "true" never matches, as the value is true or false'),
        (image(a={"BOOL": [{"prefix": "t"}]}), "never matches, as the value is true or false"),
    ],
)
def test_rule_29_a_condition_that_no_record_can_meet_is_noted(pattern: dict[str, Any], doubt: str) -> None:
    (found,) = never_matching(json.dumps(pattern))
    assert doubt in found
    criteria = {"Filters": [{"Pattern": json.dumps(pattern)}]}
    stream = {"Stream": "arn:aws:dynamodb:eu-west-1:1:table/T/stream/x", "StartingPosition": "LATEST"}
    assert read_mapping({**stream, "FilterCriteria": criteria}).notes == (f"FilterCriteria: {found}",)


@pytest.mark.parametrize(
    "pattern",
    [
        {"eventName": ["INSERT"], "userIdentity": {"type": ["Service"]}},
        {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 0]}], "StreamViewType": ["NEW_IMAGE"]}},
        image(a={"S": ["x", {"prefix": "y"}, {"exists": False}, {"anything-but": ["z"]}]}),
        image(a={"N": ["1", {"anything-but": "2"}]}, b={"BOOL": [True]}, c={"NULL": [True]}, d={"SS": ["x"]}),
        image(a={"M": {"b": {"L": {"S": ["x"]}}}}),
    ],
)
def test_rule_29_what_can_match_is_not_noted(pattern: dict[str, Any]) -> None:
    FilterSet.compile([json.dumps(pattern)])
    assert never_matching(json.dumps(pattern)) == []
