"""A schedule: changes of items in order, and the faults that strike between them, each a step that can be left out.

A fault strikes at a point that is told by its name, by the change that it concerns, and by a count. The number of a
change stays the same when others are left out, and so does the point: that is what makes a schedule easy to shorten.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 2.0
JUMP_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
_MOST_TIMES = 3
"""A point is moved to an earlier time by as much at most, one try each."""


class Mishap(StrEnum):
    """The ways in which a point of a schedule can go wrong, in the words of the report."""

    NOT_STARTED = "Lambda throttles the function and does not start it"
    ANSWER_LOST = "the function's answer is lost"
    TWICE = "another environment gets the same batch at the same time"
    AGAIN = "the same batch comes again a minute later, whatever the answer was"
    COLD = "a new environment gets it"
    OTHER = "the environment that has been idle longest gets it"
    CLOCK_AHEAD = "the clock of the environment jumps an hour ahead"
    CLOCK_BACK = "the clock of the environment jumps an hour back"
    CRASH_BEFORE = "the process crashes before it takes place"
    CRASH_AFTER = "it takes place, then the process crashes"
    REFUSED = "it is refused, as by a throttle, and does not take place"
    NO_ANSWER = "it takes place, but its answer is lost"
    TIMEOUT = "it takes place, but its answer comes after the function's timeout"
    PAUSE = "it comes after two seconds, in which others go on"


OF_INVOCATION = (
    *(Mishap.NOT_STARTED, Mishap.ANSWER_LOST, Mishap.TWICE, Mishap.AGAIN),
    *(Mishap.COLD, Mishap.OTHER, Mishap.CLOCK_AHEAD, Mishap.CLOCK_BACK),
)
OF_CALL = (
    *(Mishap.CRASH_BEFORE, Mishap.CRASH_AFTER, Mishap.REFUSED, Mishap.NO_ANSWER, Mishap.NO_ANSWER),
    *(Mishap.TIMEOUT, Mishap.PAUSE),
)
OF_READ = (Mishap.CRASH_BEFORE, Mishap.REFUSED, Mishap.PAUSE)
OF_HANDLERS = (Mishap.CRASH_AFTER,)


class Action(StrEnum):
    """The kinds of steps of a stream."""

    INSERT = "insert"
    MODIFY = "modify"
    REMOVE = "remove"
    EXPIRE = "expire"
    RESHARD = "the shards are closed, and their children go on"
    RESTART = "the mapping is started again from its checkpoints"


@dataclass(frozen=True, slots=True)
class Step:
    """A change of an item, or what happens to the stream; `after` so many seconds after the step before."""

    number: int
    action: Action
    item: Mapping[str, Any] = field(default_factory=dict)
    """The whole item, the key with the attributes that change, or the key alone."""
    after: float = 0.0

    def __str__(self) -> str:
        """Put it into words."""
        later = f", {self.after:g} s later" if self.after else ""
        what = f"change {self.number}: {self.action} {dict(self.item)}" if self.item else str(self.action)
        return f"{what}{later}"


class Point(NamedTuple):
    """A place at which something can go wrong: the `time`-th of this name that concerns this change first."""

    what: str
    change: int
    time: int

    def __str__(self) -> str:
        """Put it into words."""
        nth = f", time {self.time}" if self.time > 1 else ""
        return f"{self.what} of change {self.change}{nth}"


class Mapped(NamedTuple):
    """The settings of the event source mapping that vary, and the number of shards; as given, nothing is left open."""

    batch_size: int = 100
    slots: int = 1
    shards: int = 1


USUAL = Mapped()


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that is decided: what runs by it runs the same way each time."""

    steps: tuple[Step, ...]
    faults: Mapping[Point, Mishap]
    mapped: Mapped = USUAL

    @property
    def length(self) -> int:
        """The number of its steps, the faults among them."""
        return len(self.steps) + len(self.faults)

    @property
    def calm(self) -> Schedule:
        """The same changes, one right after the other, where nothing goes wrong."""
        changes = [replace(step, after=0.0) for step in self.steps if step.item]
        return Schedule(tuple(changes), {}, USUAL)

    def lines(self) -> list[str]:
        """Return a line for each step, and one for the settings that are not the usual ones."""
        told = [str(step) for step in self.steps] + [f"{point}: {fault}" for point, fault in self.faults.items()]
        lines = [f"{number:3}. {line}" for number, line in enumerate(told, 1)]
        usual = USUAL
        odd = [f"{name} {value}" for name, value in self.mapped._asdict().items() if value != getattr(usual, name)]
        return [*lines, f"     with {', '.join(odd).replace('_', ' ')}"] if odd else lines


class MishapPlan:
    """The faults of one schedule: drawn, or given. `fired` has those that did strike."""

    def __init__(self, rng: random.Random, rate: float, most: int) -> None:
        """Take how likely a fault is at each point, and how many there are at most."""
        self._random = rng
        self._rate = rate
        self._most = most
        self._given: Mapping[Point, Mishap] | None = None
        self._times: Counter[tuple[str, int]] = Counter()
        self.fired: dict[Point, Mishap] = {}

    @classmethod
    def of(cls, faults: Mapping[Point, Mishap]) -> MishapPlan:
        """Return a plan of given faults."""
        plan = cls(random.Random(0), 0.0, 0)
        plan._given = faults
        return plan

    def draw(self, what: str, change: int, kinds: Sequence[Mishap]) -> Mishap | None:
        """Return what goes wrong at this point, if anything."""
        self._times[what, change] += 1
        point = Point(what, change, self._times[what, change])
        if self._given is not None:
            fault = self._given.get(point)
            fault = fault if fault in kinds else None
        else:
            strikes = len(self.fired) < self._most and self._random.random() < self._rate
            fault = self._random.choice(kinds) if strikes else None
        if fault is not None:
            self.fired[point] = fault
        return fault


def drawn(seed: int, changes: Sequence[Step]) -> tuple[Schedule, MishapPlan]:
    """Return the schedule of a seed, without its faults, and the plan that draws them. With seed 0 nothing fails."""
    if seed == 0:
        return Schedule(tuple(changes), {}), MishapPlan.of({})
    rng = random.Random(f"tablestream {seed}")
    longest = rng.choice((0.0, 0.0, 0.5, 5.0, 60.0))
    steps = [replace(step, after=round(rng.uniform(0, longest), 1)) for step in changes]
    for action, chance in ((Action.RESHARD, 0.2), (Action.RESTART, 0.15)):
        if rng.random() < chance:
            steps.insert(rng.randint(0, len(steps)), Step(0, action, after=round(rng.uniform(0, longest), 1)))
    mapped = Mapped(rng.choice((1, 2, 3, 10, 100, 100)), rng.choice((1, 1, 2)), rng.choice((1, 1, 2)))
    return Schedule(tuple(steps), {}, mapped), MishapPlan(rng, rng.choice((0.03, 0.1, 0.3)), rng.choice((1, 2, 4, 8)))


# --- the shortest that still fails -----------------------------------------------------------------------------------


def smaller(parts: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Leave out what is not needed to fail: halves first, then less and less, down to single parts."""
    kept = list(parts)
    size = max(1, len(kept) // 2)
    while kept:
        start = 0
        before = len(kept)
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if fails(fewer):
                kept = fewer
            else:
                start += size
        if size == 1 and len(kept) == before:
            break
        size = max(1, size // 2)
    return kept


def shortest(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Return the shortest variant of a failing schedule that is found: until a round leaves nothing out."""
    while True:
        shorter = _shorter(schedule, fails)
        if shorter == schedule:
            return schedule
        schedule = shorter


def _shorter(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    def given(changed: Schedule) -> bool:
        return changed != schedule and fails(changed)

    faults = smaller(list(schedule.faults.items()), lambda part: given(replace(schedule, faults=dict(part))))
    schedule = replace(schedule, faults=dict(faults))
    steps = smaller(schedule.steps, lambda part: given(replace(schedule, steps=tuple(part))))
    schedule = replace(schedule, steps=tuple(steps))
    for simpler in _simpler(schedule):
        if given(simpler):
            return simpler
    return schedule


def _simpler(schedule: Schedule) -> list[Schedule]:
    """Return variants that are as long and easier to read: the usual settings, no waits, a point's first time."""
    usual = USUAL
    variants = [replace(schedule, mapped=usual)]
    variants += [
        replace(schedule, mapped=schedule.mapped._replace(**{name: getattr(usual, name)})) for name in usual._fields
    ]
    variants.append(replace(schedule, steps=tuple([replace(step, after=0.0) for step in schedule.steps])))
    for point in schedule.faults:
        for time in range(1, min(point.time, _MOST_TIMES + 1)):
            moved = {
                (point._replace(time=time) if key == point else key): fault for key, fault in schedule.faults.items()
            }
            variants.append(replace(schedule, faults=moved))
    return [variant for variant in variants if variant != schedule]
