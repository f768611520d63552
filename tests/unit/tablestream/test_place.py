"""The place of a bug is that of the user's own code, with its file: not the library's, nor what it called."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.session import Session

from tablestream.errors import MissingAttribute, note_place, place_of, without_frames
from tablestream.image import Image
from tablestream.testing import inserted


def place(run: Callable[[], Any]) -> str:
    try:
        run()
    except Exception as error:  # noqa: BLE001 -- whatever it is
        return place_of(error).replace("<locals>.", "")
    raise AssertionError("wanted an error")


def of_its_own() -> None:
    raise ValueError("secret")


def of_pythons() -> None:
    json.loads("{")


def of_a_package() -> None:
    Session().create_client("no such service", region_name="eu-west-1")


def of_the_library() -> None:
    Image({})["secret"]


@pytest.mark.parametrize("run", [of_its_own, of_pythons, of_a_package, of_the_library])
def test_the_place_is_the_last_one_in_code_of_the_users(run: Callable[[], Any]) -> None:
    line = run.__code__.co_firstlineno + 1
    assert place(run) == f"test_place.py, line {line}, in {run.__name__}"


def test_without_any_code_of_the_users_it_is_where_the_error_was_raised() -> None:
    with pytest.raises(ValueError, match="wanted the attributes pk and sk") as caught:
        inserted({})
    assert caught.tb.tb_next is not None
    found = place_of(caught.value.with_traceback(caught.tb.tb_next))
    assert found.startswith("records.py, line ")
    assert found.endswith(", in _keys")


def test_the_place_is_known_when_the_frames_are_gone() -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        of_its_own()
    before = place_of(caught.value)
    note_place(caught.value)
    assert place_of(without_frames(caught.value)) == before
    assert place_of(ValueError()) == ""


def test_an_error_that_is_raised_again_and_again_is_noted_once_a_place() -> None:
    error = ValueError("kept by a sink")
    for _ in range(3):
        with pytest.raises(ValueError, match="kept"):
            raise error
        note_place(error)
        without_frames(error)
    assert len(error.__notes__) == 1


# --- what an item has instead ----------------------------------------------------------------------------------------


def test_an_attribute_that_is_missing_is_told_with_those_that_are_there() -> None:
    assert str(MissingAttribute("statsu", {"status": 1, "id": 2})) == (
        "statsu: wanted a value, got none; the item has id, status"
    )
    assert str(MissingAttribute("statsu", {})) == "statsu: wanted a value, got none; the item has no attributes"
    assert str(MissingAttribute("statsu")) == "statsu: wanted a value, got none"


def test_however_many_and_long_they_are_the_text_is_bounded() -> None:
    many = str(MissingAttribute("x", [f"{number:04}" + "y" * 60_000 for number in range(1000)]))
    assert many.endswith(" and 980 more")
    assert len(many) < 2000
