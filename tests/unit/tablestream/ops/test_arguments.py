"""Filters: which objects they select, and the times that they take; names and numbers that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tablestream.ops.__main__ import main
from tablestream.ops.arguments import Selection, time_of
from tablestream.ops.bucket import Stored
from tablestream.ops.planning import FailureObject, read_failure
from tablestream.testing import Record, inserted


def record(item: str, number: int, **attributes: Any) -> Record:
    return inserted({"pk": item, "sk": "A", "entityType": "Order", **attributes}, sequence_number=10**20 + number)


def letter(
    one: Record,
    key: str = "",
    error: str = "KeyError",
    time: str = "2026-01-01T00:00:00.000+00:00",
    **more: str,
) -> FailureObject:
    content = {"record": one, "error_class": error, "handler": "a.b", "time": time, "reason": "secret", **more}
    return read_failure(Stored(key or f"dead-letters/{one['eventID']}.json", '"1"', json.dumps(content).encode()))


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({"KeyError", "X"})), True),
        (Selection(reasons=frozenset({"TypeError"})), False),
        (Selection(entities=frozenset({"Order"})), True),
        (Selection(entities=frozenset({"Customer"})), False),
        (Selection(since=1767225600.0), True),
        (Selection(since=1767225601.0), False),
        (Selection(until=1767225600.0), False),
        (Selection(prefix="dead-letters/"), True),
        (Selection(prefix="aws/"), False),
        (Selection(keys=frozenset({"dead-letters/k"})), True),
        (Selection(keys=frozenset({"dead-letters/other"})), False),
        (Selection(reasons=frozenset({"KeyError"}), prefix="aws/"), False),
    ],
)
def test_filters_all_have_to_hold(selection: Selection, takes: bool) -> None:
    assert selection.takes(letter(record("a", 1), key="dead-letters/k")) is takes


def test_a_range_is_of_the_time_at_which_it_was_first_set_aside() -> None:
    again = letter(record("a", 1), time="2026-03-01T00:00:00Z", first_time="2026-01-01T00:00:00Z")
    assert Selection(until=1767225601.0).takes(again)
    assert not Selection(since=1767225601.0).takes(again)


def test_an_object_without_a_time_is_in_no_range() -> None:
    timeless = letter(record("a", 1), time="yesterday")
    assert Selection().takes(timeless)
    assert not Selection(since=0.0).takes(timeless)


def test_times_are_absolute_or_ago() -> None:
    assert time_of("2h", now=10_000.0) == 2_800.0
    assert time_of("2026-01-01", 0.0) == time_of("2026-01-01T01:00+01:00", 0.0) == 1767225600.0
    with pytest.raises(ValueError, match="wanted a time like"):
        time_of("tomorrow", 0.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["redrive", "list"], "name the stack with --stack, or the resource with --bucket"),
        (["redrive", "list", "--bucket", "b", "--since", "tomorrow"], "wanted a time like"),
        (
            ["redrive", "run", "x.json", "--bucket", "b", "--function", "f", "--dry-run"],
            "wanted keys that begin with",
        ),
        (["replay", "scan"], "name the stack with --stack, or the resource with --table"),
    ],
)
def test_what_cannot_be_carried_out_is_told_and_exits_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--rate", "-1", "wanted a number that is not below 0"),
        ("--rate", "inf", "wanted a number that is not below 0"),
        ("--rate", "x", "wanted a number that is not below 0"),
        ("--batch-size", "0", "wanted a whole number above 0"),
        ("--patience", "1.5", "wanted a whole number above 0"),
        ("--lease-seconds", "906", "wanted at most 905, got 906"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    option: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["redrive", "run", option, value])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
