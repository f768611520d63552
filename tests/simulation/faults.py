"""Faults: which kinds there are, how often each regime has them, and the plan of one schedule.

Every I/O call and every invocation draws once. A plan remembers what it drew by the number of the draw, so that a
schedule can be run again with a part of its faults: that is how a failing one is made shorter.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong."""

    CRASH_BEFORE = "crash before the call"
    CRASH_AFTER = "crash after the call was sent"
    THROTTLE = "throttle"
    CONFLICT = "transaction conflict"
    NO_ANSWER = "ambiguous: no answer"
    PARTIAL = "a part of the call fails"
    UNREADABLE = "somebody else answers: a page, plain text, nothing, a part"
    HANG = "hangs until the function's timeout"
    NOT_STARTED = "invocation throttled"
    LOST_ANSWER = "the invocation's answer is lost"
    TWICE = "the batch is invoked twice at once"
    LATE_TWICE = "the batch is invoked again later"
    OUT_OF_MEMORY = "out of memory"


ANYWHERE = (
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.THROTTLE,
    Fault.NO_ANSWER,
    Fault.NO_ANSWER,
    Fault.UNREADABLE,
    Fault.UNREADABLE,
    Fault.HANG,
)
OF_OPERATION: Mapping[str, tuple[Fault, ...]] = {
    "TransactWriteItems": (*ANYWHERE, Fault.CONFLICT, Fault.CONFLICT),
    "BatchGetItem": (*ANYWHERE, Fault.PARTIAL, Fault.PARTIAL),
    "BatchWriteItem": (*ANYWHERE, Fault.PARTIAL, Fault.PARTIAL),
    "PublishBatch": (*ANYWHERE, Fault.PARTIAL, Fault.PARTIAL),
}
ON_ITS_WAY = "the topic got the request seconds later"
"""A reason why a notification may come after a later one: nobody can call back a request that is on its way."""
OF_REQUEST = (
    *(Fault.NOT_STARTED, Fault.LOST_ANSWER, Fault.LOST_ANSWER, Fault.TWICE, Fault.LATE_TWICE),
    *(Fault.OUT_OF_MEMORY, Fault.OUT_OF_MEMORY),
)
"""What goes wrong between a client of the HTTP API and its function."""
OF_INVOCATION = (Fault.NOT_STARTED, Fault.LOST_ANSWER, Fault.TWICE, Fault.LATE_TWICE, Fault.OUT_OF_MEMORY)


@dataclass(frozen=True, slots=True)
class Regime:
    """How bad it is: the chance of a fault at each draw, whether there are bad records, whether Lambda retries."""

    name: str
    rate: float
    poison: bool = True
    retries: bool = True
    door: bool = False
    """Whether clients of the HTTP API write as well."""


REGIMES: Mapping[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime("none", 0.0, poison=False),
        Regime("poison", 0.0),
        Regime("mild", 0.002),
        Regime("medium", 0.01),
        Regime("harsh", 0.05),
        Regime("chaos", 0.15, retries=False),
        Regime("door", 0.04, door=True),
    )
}


@dataclass(slots=True)
class Plan:
    """The faults of one schedule: drawn, or given by the number of the draw."""

    rate: float
    random: random.Random
    given: Mapping[int, Fault] | None = None
    fired: dict[int, Fault] = field(default_factory=dict)
    quiet: bool = False
    """Whether nothing goes wrong any more."""
    offered: list[Sequence[Fault]] = field(default_factory=list)
    """What could have gone wrong at each draw, the first at index 0."""

    def draw(self, kinds: Sequence[Fault]) -> Fault | None:
        """Return what goes wrong at this point, if anything."""
        if self.quiet:
            return None
        self.offered.append(kinds)
        fault = self._given(kinds) if self.given is not None else self._drawn(kinds)
        if fault is not None:
            self.fired[len(self.offered)] = fault
        return fault

    def _given(self, kinds: Sequence[Fault]) -> Fault | None:
        fault = (self.given or {}).get(len(self.offered))
        return fault if fault in kinds else None

    def _drawn(self, kinds: Sequence[Fault]) -> Fault | None:
        return self.random.choice(kinds) if self.random.random() < self.rate else None
