"""`Stream`: the changes of a test, played under many schedules; a failure is told as the shortest that still fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tablestream.errors import place_of
from tablestream.simulation.driver import Keyed, Played, Trial, play
from tablestream.simulation.schedule import Action, MishapPlan, Schedule, Step, drawn, shortest
from tablestream.simulation.services import Services
from tablestream.testing.records import TABLE
from tablestream.testing.values import image

MOST_RUNS = 2000
"""So many variants of a failing schedule are tried at most."""


class ScheduleFailed(AssertionError):
    """A schedule under which the worker does something wrong, as short as it was found."""

    def __init__(self, seed: int, first: Schedule, outcome: Played, command: str) -> None:
        """Take the seed, the schedule that it gives, what came of the shortest, and the command that repeats it."""
        self.seed = seed
        self.schedule = outcome.schedule
        error = outcome.error or AssertionError()
        place = place_of(error)
        super().__init__(
            "\n".join(
                [
                    f"seed {seed} fails, shortened from {first.length} steps to {self.schedule.length}:",
                    *self.schedule.lines(),
                    "what happens then:",
                    *outcome.story,
                    f"what is wrong: {type(error).__name__}: {error}{f' ({place})' if place else ''}",
                    f"again: {command}",
                ]
            )
        )


class Stream:
    """The stream of a table: write down changes in order, then play them."""

    def __init__(self, seeds: Sequence[int] = range(50), command: str = "", table: str = TABLE) -> None:
        """Take the seeds to play, and the command that repeats one of them, without its number."""
        self._seeds = seeds
        self._command = command
        self._keyed = Keyed(table, ("pk", "sk"))
        self._steps: list[Step] = []
        self._items: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def keyed(self, *keys: str, table: str = TABLE) -> Stream:
        """Name the key attributes of the table, and the table; returns the stream."""
        if not keys or self._steps:
            raise ValueError("wanted the names of the key attributes, before the first change")
        self._keyed = Keyed(table, keys)
        return self

    def insert(self, item: Mapping[str, Any]) -> None:
        """Write a new item. Raises `ValueError` when there is one with its key."""
        if self._key(item) in self._items:
            raise ValueError(f"wanted a new item, got one that is there: {self._key(item)}")
        self._add(Action.INSERT, item, item)

    def modify(self, key: Mapping[str, Any], **changed: Any) -> None:
        """Change attributes of an item. Raises `ValueError` when it is not there."""
        self._add(Action.MODIFY, {**key, **changed}, {**self._there(key), **changed})

    def remove(self, key: Mapping[str, Any]) -> None:
        """Remove an item. Raises `ValueError` when it is not there."""
        self._there(key)
        self._add(Action.REMOVE, key, None)

    def expire(self, key: Mapping[str, Any]) -> None:
        """Have Time to Live remove an item. Raises `ValueError` when it is not there."""
        self._there(key)
        self._add(Action.EXPIRE, key, None)

    def play(self, make: Callable[[Services], Trial]) -> None:
        """Play the changes under the schedule of each seed; raises `ScheduleFailed` for the first that fails."""
        __tracebackhide__ = True
        if not self._steps:
            raise ValueError("wanted changes to play: stream.insert({…}) comes first")
        with _quiet():
            failed = next(filter(None, (self._failure(seed, make) for seed in self._seeds)), None)
        if failed is not None:
            raise failed from failed.__cause__

    def _failure(self, seed: int, make: Callable[[Services], Trial]) -> ScheduleFailed | None:
        schedule, plan = drawn(seed, self._steps)
        first = play(schedule, plan, make, self._keyed)
        if first.error is None:
            return None
        left = [MOST_RUNS]

        def played(variant: Schedule) -> Played:
            left[0] -= 1
            return play(variant, MishapPlan.of(variant.faults), make, self._keyed)

        # What a test states may hold for all of its changes only, and be wrong for a part of them though nothing fails.
        sound = played(first.schedule.calm).error is None

        def fails(variant: Schedule) -> bool:
            if left[0] <= 0 or type(played(variant).error) is not type(first.error):
                return False
            return not sound or played(variant.calm).error is None

        short = shortest(first.schedule, fails)
        outcome = played(short)
        outcome = replace(outcome, schedule=short) if outcome.error is not None else first
        failed = ScheduleFailed(seed, first.schedule, outcome, f"{self._command}{seed}")
        failed.__cause__ = outcome.error
        return failed

    def _key(self, item: Mapping[str, Any]) -> tuple[Any, ...]:
        if missing := [name for name in self._keyed.keys if name not in item]:
            raise ValueError(
                f"wanted the key attributes {', '.join(self._keyed.keys)}, got none of {', '.join(missing)}: "
                'stream.keyed("id") names them for a table with another key'
            )
        return tuple([item[name] for name in self._keyed.keys])

    def _there(self, key: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self._items.get(self._key(key))
        if found is None:
            raise ValueError(f"wanted the key of an item that is there, got {self._key(key)}")
        return found

    def _add(self, action: Action, item: Mapping[str, Any], new: Mapping[str, Any] | None) -> None:
        image(item)  # what DynamoDB does not take is refused where it is written
        key = self._key(item)
        if new is None:
            del self._items[key]
        else:
            self._items[key] = dict(new)
        self._steps.append(Step(len(self._steps) + 1, action, dict(item)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Log lines of hundreds of schedules help nobody."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
