"""Sending a batch: what each answer of the worker means for each of its records."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from ops.errors import StoppedError
from ops.invoking import Answer, Broken, From, Head, Settled
from ops.parked import item_of
from ops.sending import Fate, Parcel, Result, Sender
from tablestream.testing import event, inserted

NO_PATIENCE_NEEDED = 1000


def parcels(*items: str) -> list[Parcel]:
    records = event(*[inserted({"pk": item, "sk": "A"}) for item in items])["Records"]
    return [Parcel(record, item_of(record)) for record in records]


def worker(
    failing: Sequence[int] = (), breaking: Sequence[int] = ()
) -> tuple[Callable[[Any], Answer], list[list[int]]]:
    """Return a worker that answers as the real one does, and what it applied in each invocation, by place."""
    applied: list[list[int]] = []

    def invoke(records: Sequence[Any]) -> Answer:
        places = [int(record["dynamodb"]["SequenceNumber"]) - FIRST for record in records]
        if set(places) & set(breaking):
            return Broken("Sandbox.Timedout")
        bad = sorted(set(places) & set(failing))
        stuck = {records[places.index(place)]["dynamodb"]["Keys"]["pk"]["S"] for place in bad}
        applied.append(
            [
                place
                for place, record in zip(places, records, strict=True)
                if place not in bad
                and not (record["dynamodb"]["Keys"]["pk"]["S"] in stuck and any(place > one for one in bad))
            ]
        )
        if not bad:
            return Settled()
        return Head("") if bad[0] == min(places) and len(places) > 1 else From(FIRST + bad[0])

    return invoke, applied


FIRST = int(parcels("x")[0].record["dynamodb"]["SequenceNumber"])


def fates(sender: Sender, sent: Sequence[Parcel]) -> list[Fate]:
    found = {result.parcel.identity: result.fate for result in sender.send(sent)}
    return [found[parcel.identity] for parcel in sent]


S, F, H = Fate.SETTLED, Fate.FAILED, Fate.HELD_BACK


@pytest.mark.parametrize(
    ("items", "failing", "breaking", "expected"),
    [
        ("abc", [], [], [S, S, S]),
        ("abc", [1], [], [S, F, S]),
        ("abc", [0], [], [F, S, S]),
        ("a", [0], [], [F]),
        ("abab", [0], [], [F, S, H, S]),
        ("aabb", [1], [], [S, F, S, S]),
        ("abc", [0, 1, 2], [], [F, F, F]),
        ("abcdefg", [], [3], [S, S, S, F, S, S, S]),
        ("abcadefa", [], [3], [S, S, S, F, S, S, S, H]),
        ("abcd", [3], [0], [F, S, S, F]),
    ],
)
def test_each_record_finds_its_own_fate(
    items: str, failing: list[int], breaking: list[int], expected: list[Fate]
) -> None:
    invoke, _ = worker(failing, breaking)
    assert fates(Sender(invoke, NO_PATIENCE_NEEDED), parcels(*items)) == expected


@pytest.mark.parametrize("seed", range(50))
def test_changes_of_an_item_are_applied_in_order_whatever_fails(seed: int) -> None:
    chance = random.Random(seed)
    items = [chance.choice("abcde") for _ in range(30)]
    failing = chance.sample(range(30), 4)
    breaking = chance.sample(range(30), 3)
    invoke, applied = worker(failing, breaking)
    result = fates(Sender(invoke, NO_PATIENCE_NEEDED), parcels(*items))
    first: dict[int, int] = {}
    for turn, places in enumerate(applied):
        for place in places:
            first.setdefault(place, turn)
    for item in "abcde":
        turns = [first[place] for place in range(30) if items[place] == item and place in first]
        assert turns == sorted(turns)
        mine = [result[place] for place in range(30) if items[place] == item]
        assert mine == sorted(mine, key=[S, F, H].index), "nothing of an item is settled after a failure"
    assert {place for place in range(30) if result[place] is F} <= {*failing, *breaking}


def test_one_that_breaks_the_invocation_costs_a_handful_of_invocations() -> None:
    invoke, applied = worker(breaking=[77])
    assert fates(Sender(invoke), parcels(*map(str, range(100)))).count(F) == 1
    assert len(applied) <= 8


def test_many_failures_in_a_row_end_the_run() -> None:
    invoke, _ = worker(failing=range(100))
    seen: list[Result] = []
    with pytest.raises(StoppedError, match="3 records failed in a row"):
        seen.extend(Sender(invoke, 3).send(parcels(*map(str, range(100)))))
    assert [result.fate for result in seen] == [F, F, F]


def test_failures_between_successes_do_not() -> None:
    invoke, _ = worker(failing=range(0, 100, 2))
    assert fates(Sender(invoke, 2), parcels(*map(str, range(100)))).count(F) == 50


@pytest.mark.parametrize("answer", [From(1), From(10**30)])
def test_a_sequence_number_that_was_not_sent_is_no_success(answer: Answer) -> None:
    (result,) = Sender(lambda _records: answer, 99).send(parcels("a"))
    assert (result.fate, result.error) == (F, "InvalidAnswer")


def test_records_of_one_number_do_not_go_round_for_ever() -> None:
    twins = [parcels("a")[0], parcels("b")[0]]
    assert fates(Sender(lambda _records: From(FIRST), 99), twins) == [F, F]


def test_what_the_worker_said_of_a_failed_head_is_kept() -> None:
    answers: Iterator[Answer] = iter([Head("the first of 2 records failed: 1 x ClientError"), From(FIRST), Settled()])
    results = list(Sender(lambda _records: next(answers)).send(parcels("a", "b")))
    assert results[0].detail == "the first of 2 records failed: 1 x ClientError"
