"""What a message says is composed when it is made: a value that cannot be told is found before anything happens."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tablestream import InvalidRecord
from tablestream.sinks import Event, Message, MessageTooLarge
from tablestream.sinks.messages import MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("text", "text"),
        (True, True),
        (None, None),
        (10, "10"),
        (9007199254740993, "9007199254740993"),
        (Decimal("10.50"), "10.50"),
        (Decimal("1E+2"), "100"),
        (b"\x00\xff", "AP8="),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({"a": [1, {"b": Decimal("0.1")}]}, {"a": ["1", {"b": "0.1"}]}),
        ("\ud800", "\ud800"),
    ],
)
def test_each_type_has_one_form(value: Any, told: Any) -> None:
    assert json.loads(Message({"value": value}).text) == {"value": told}
    assert json.loads(Event("said", {"value": value}).text) == {"value": told}


@pytest.mark.parametrize("value", [object(), {1: "a"}, 1.5, {"a": {object()}}])
def test_what_no_item_holds_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a message cannot carry a"):
        Message({"value": value})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"a": "b", "x": 1.5}, "^x: a message cannot carry a float, wanted a Decimal or text$"),
        ({"lines": [{"n": 1}, {"price": 1.5}]}, r"^lines\[1\]\.price: a message cannot carry a float, wanted"),
        ({"at": {"x": {1: 2}}}, r"^at\.x: a message cannot carry a dict, wanted names of text in a map$"),
        ({"tags": {"a", 1}}, "^tags: "),
        ({"tags": {1.5}}, "^tags: a message cannot carry a float"),
    ],
)
def test_the_field_that_cannot_be_told_is_named(fields: dict[str, Any], told: str) -> None:
    for make in (Message, lambda fields: Event("said", fields)):
        with pytest.raises(TypeError, match=told):
            make(fields)


def test_a_text_is_sent_as_it_is() -> None:
    assert Message("hello").text == "hello"


def test_the_size_counts_body_and_attributes_in_bytes() -> None:
    assert Message("ä", {"kind": "b"}).size == 2 + len("kind") + len("b") + len("String")
    assert Message("x" * MAX_MESSAGE_BYTES).size == MAX_MESSAGE_BYTES
    with pytest.raises(MessageTooLarge, match=f"wanted a message of at most {MAX_MESSAGE_BYTES} bytes, got 262145"):
        Message("x" * (MAX_MESSAGE_BYTES + 1))
    with pytest.raises(InvalidRecord, match="wanted an event of at most"):
        Event("said", {"text": "x" * MAX_MESSAGE_BYTES})


def test_equal_messages_are_equal() -> None:
    assert Message({"a": 1}) == Message({"a": 1}) != Message({"a": 2})
