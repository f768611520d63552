"""Plain values get the tags that boto3 gives them, and come back as they were; what has none is named by its place."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from tablestream.dynamodb import InvalidValue
from tablestream.dynamodb.client import encode
from tablestream.dynamodb.requests.values import Tagging, tag, tag_item
from tablestream.image import plain

NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20),
    st.sampled_from([Decimal("1E+20"), Decimal("-1.50"), Decimal("0E-5"), Decimal("1E-30")]),
)
LETTERS = st.characters(codec="utf-8")
TEXT = st.text(LETTERS)
SCALARS = st.one_of(TEXT, NUMBERS, st.booleans(), st.none(), st.binary())
SETS = st.one_of(
    st.frozensets(TEXT, min_size=1), st.frozensets(NUMBERS, min_size=1), st.frozensets(st.binary(), min_size=1)
)
NAMES = st.text(LETTERS, min_size=1)
VALUES = st.recursive(
    SCALARS | SETS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)
ITEMS = st.dictionaries(NAMES, VALUES, max_size=6)


@given(ITEMS)
def test_an_item_comes_back_as_it_was(item: dict[str, Any]) -> None:
    tagged = tag_item(item)
    assert plain(tagged) == item
    assert plain(json.loads(encode(tagged))) == item  # as it goes over the wire


@given(ITEMS)
def test_boto3_reads_what_is_written(item: dict[str, Any]) -> None:
    read = TypeDeserializer().deserialize
    assert {name: _as_ours(read(value)) for name, value in tag_item(item).items()} == item


@given(ITEMS)
def test_what_boto3_writes_is_read(item: dict[str, Any]) -> None:
    write = TypeSerializer().serialize
    assert plain({name: write(value) for name, value in item.items()}) == item


def _as_ours(value: Any) -> Any:
    """Return what boto3 gives with `bytes` for its own class."""
    match value:
        case dict():
            return {name: _as_ours(inner) for name, inner in value.items()}
        case list():
            return [_as_ours(inner) for inner in value]
        case set():
            return {_as_ours(inner) for inner in value}
        case _:
            return value.value if hasattr(value, "value") else value


@given(NUMBERS | st.sampled_from([Decimal("1E-130"), Decimal("9.9E+125"), Decimal("-9.9E+125")]))
def test_a_number_is_written_without_exponent_and_zeros_at_the_end(number: Any) -> None:
    text = tag(number)["N"]
    assert "E" not in text
    assert Decimal(text) == number
    assert "." not in text or text[-1] != "0"
    assert not text.startswith("-0") or "." in text


def test_whole_numbers_are_int_and_others_decimal() -> None:
    found = plain({"a": {"N": "10"}, "b": {"N": "10.0"}, "c": {"N": "1E+1"}, "d": {"N": "-5"}, "e": {"N": "0.1"}})
    assert {name: type(value) for name, value in found.items()} == {
        "a": int,
        "b": Decimal,
        "c": Decimal,
        "d": int,
        "e": Decimal,
    }


def test_maps_are_plain_dictionaries() -> None:
    found = plain({"a": {"L": [{"M": {"b": {"M": {}}}}]}})
    assert [type(found), type(found["a"][0]), type(found["a"][0]["b"])] == [dict, dict, dict]


def test_none_is_left_out_of_maps_and_not_of_lists() -> None:
    item = {"a": None, "b": {"c": None, "d": [None, {"e": None}]}}
    assert tag_item(item, Tagging(drop_nulls=True)) == {"b": {"M": {"d": {"L": [{"NULL": True}, {"M": {}}]}}}}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": {"b": [0, {"c": 1.5}]}}, "a.b[1].c"),
        ({"a": [[0, [set()]]]}, "a[0][1][0]"),
        ({"a": {"": 1}}, "a."),
        ({"a": {5: 1}}, "a.5"),
        ({"a": (1, object())}, "a[1]"),
        ({"a": {1, "b"}}, "a"),
        ({"a": 10**5000}, "a"),
        ({"a": Decimal("sNaN")}, "a"),
    ],
)
def test_what_has_no_tag_is_named_by_its_place(value: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidValue) as told:
        tag_item(value)
    assert told.value.path == path
    assert str(told.value).startswith(f"{path}: ")
    for kind in (TypeError, ValueError):
        assert isinstance(told.value, kind)


def test_a_value_by_itself_has_the_path_that_it_is_called() -> None:
    with pytest.raises(InvalidValue, match=r"^settings\.theme\[0\]: wanted a Decimal or an int, got a float$"):
        tag([1.5], path="settings.theme")
    with pytest.raises(InvalidValue, match=r"^the value: wanted"):
        tag(1.5)


def test_json_has_binary_values_as_base64_and_takes_nothing_else_that_it_does_not_know() -> None:
    assert encode({"B": b"\x00\xff"}) == '{"B":"AP8="}'
    with pytest.raises(TypeError, match="wanted JSON with bytes, got set"):
        encode({"B": {1}})
