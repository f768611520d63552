"""A board and a clock that change together: of two players who have read the same, the second has to look again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tablestream.dynamodb import ItemStore

Plain = dict[str, Any]


def begin(store: ItemStore[Plain], game: str) -> None:
    """Write board and clock; nobody else knows the game yet, so no lock is needed."""
    store.set({"pk": game, "sk": "BOARD", "moves": []}, {"pk": game, "sk": "CLOCK", "left": 300})


def move(store: ItemStore[Plain], game: str, move: str, seconds: int) -> list[str]:
    """Make a move and take its time from the clock, both or neither; return all moves."""

    def moved(items: list[Plain | None]) -> list[Plain | None]:
        board, clock = items
        if board is None or clock is None:
            raise LookupError(f"there is no game {game}")
        return [{**board, "moves": [*board["moves"], move]}, {**clock, "left": clock["left"] - seconds}]

    board, clock = {"pk": game, "sk": "BOARD"}, {"pk": game, "sk": "CLOCK"}
    changed = store.change(board, moved, keys=[board, clock]).items
    return list((changed[0] or {})["moves"])


def replay(store: ItemStore[Plain], game: str, moves: list[str]) -> None:
    """Write many moves one after the other: whoever holds a lock needs one call for each."""
    held = store.read({"pk": game, "sk": "BOARD"})
    board = held.items[0] or {"pk": game, "sk": "BOARD", "moves": []}
    for made in moves:
        board = {**board, "moves": [*board["moves"], made]}
        store.set_atomic(held.lock, board)


def notes(store: ItemStore[Plain], game: str) -> Iterator[str]:
    """Yield what players have noted, read page by page as it is asked for."""
    for item in store.stream(game, "NOTE#"):
        yield item["text"]
