"""The examples of docs/locks.md: a board and a clock that change together, and scores as values of a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from examples.game_board import begin, move, notes, replay
from examples.typed_scores import Score, ScoreCodec, give, key_of
from tablestream import Run
from tablestream.dynamodb import ItemStore, RaceCondition, Table
from tablestream.testing import FakeClock
from tests.support.dynamodb import create_table

GAME = "GAME#1"
BOARD = {"pk": GAME, "sk": "BOARD"}


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def table(calls: list[str]) -> Iterator[Table]:
    with mock_aws():
        client: Any = boto3.client("dynamodb", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="k")
        create_table(client, "games", ["pk", "sk"])
        yield Table("games", client, run=Run(clock=FakeClock()), observe=lambda operation, _: calls.append(operation))


@pytest.fixture
def store(table: Table) -> ItemStore[dict[str, Any]]:
    return ItemStore(table)


def test_board_and_clock_change_together(store: ItemStore[dict[str, Any]], calls: list[str]) -> None:
    begin(store, GAME)
    calls.clear()
    assert move(store, GAME, "e4", 5) == ["e4"]
    assert calls == ["TransactGetItems", "TransactWriteItems"]
    assert move(store, GAME, "e5", 7) == ["e4", "e5"]
    assert store.get({"pk": GAME, "sk": "CLOCK"}) == {"pk": GAME, "sk": "CLOCK", "left": 288}


def test_a_game_that_there_is_not_is_told_and_written_nowhere(store: ItemStore[dict[str, Any]]) -> None:
    with pytest.raises(LookupError, match="there is no game GAME#1"):
        move(store, GAME, "e4", 5)
    assert store.get(BOARD) is None


def test_a_holder_writes_with_one_call_and_whoever_read_before_is_told(
    store: ItemStore[dict[str, Any]], calls: list[str]
) -> None:
    begin(store, GAME)
    other = store.lock(BOARD)
    calls.clear()
    replay(store, GAME, ["e4", "e5", "Nf3"])
    assert calls == ["TransactGetItems", *["TransactWriteItems"] * 3]
    with pytest.raises(RaceCondition):
        store.set_atomic(other, {**BOARD, "moves": []})
    assert (store.get(BOARD) or {})["moves"] == ["e4", "e5", "Nf3"]


def test_notes_are_read_by_their_prefix(store: ItemStore[dict[str, Any]]) -> None:
    begin(store, GAME)
    store.set(*[{"pk": GAME, "sk": f"NOTE#{number}", "text": f"note {number}"} for number in range(3)])
    assert list(notes(store, GAME)) == ["note 0", "note 1", "note 2"]


def test_points_go_from_one_to_the_other_as_values(table: Table) -> None:
    scores = ItemStore(table, ScoreCodec())
    scores.set(Score("ann", 10))
    assert give(table, "ann", "bob", 3) == [Score("ann", 7), Score("bob", 3)]
    assert scores.get_many([key_of("bob"), key_of("ann"), key_of("eve")]) == [Score("bob", 3), Score("ann", 7), None]
    assert scores.query("SCORES") == [Score("ann", 7), Score("bob", 3)]
