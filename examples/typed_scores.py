"""Scores as values of a class: a codec turns them into items and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tablestream.dynamodb import ItemStore, Table


@dataclass(frozen=True)
class Score:
    """A player's points."""

    player: str
    points: int


class ScoreCodec:
    """Turns scores into items and back."""

    def encode(self, score: Score, /) -> Mapping[str, Any]:
        """Return the item of a score."""
        return {**key_of(score.player), "points": score.points}

    def decode(self, item: dict[str, Any], /) -> Score:
        """Return the score of an item."""
        return Score(item["sk"], item["points"])


def key_of(player: str) -> dict[str, str]:
    """Return the key of a player's score."""
    return {"pk": "SCORES", "sk": player}


def give(table: Table, giver: str, taker: str, points: int) -> list[Score | None]:
    """Move points from one player to another."""

    def moved(scores: list[Score | None]) -> list[Score | None]:
        one, other = (score or Score(name, 0) for score, name in zip(scores, (giver, taker), strict=True))
        return [replace(one, points=one.points - points), replace(other, points=other.points + points)]

    store = ItemStore(table, ScoreCodec())
    return store.change(key_of(giver), moved, keys=[key_of(giver), key_of(taker)]).items
