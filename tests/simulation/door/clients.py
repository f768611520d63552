"""The clients of the HTTP API: they send an errand until there is an answer, in several copies or once more later."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tablestream.local.delivery.protocol import Answered, InvocationOutcome
from tests.simulation.door.errands import CHANGING, REMEMBERED, Errand, Want
from tests.simulation.door.function import TIMEOUT_SECONDS
from tests.simulation.faults import OF_REQUEST, Fault, Plan
from tests.simulation.invocation import Environments, Invocation
from tests.simulation.scheduler import Scheduler

NO_ANSWER, NOT_BEGUN, UNAVAILABLE = 0, 429, 503
"""Statuses: the last is an answer that tells nothing of what was done."""
_TRIES = 90
_RACES = 6
_LONGEST_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """What one send of an errand came to."""

    errand: Errand
    at: float
    """When, in seconds since the epoch."""
    status: int
    body: Mapping[str, Any]
    last: bool
    """Whether the client leaves it at that."""

    @property
    def is_good(self) -> bool:
        """Whether the API says that it is done."""
        return 200 <= self.status < 300

    @property
    def is_open(self) -> bool:
        """Whether it says nothing of whether the errand is done."""
        return self.status in {NO_ANSWER, NOT_BEGUN, UNAVAILABLE}

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.body.get("code", ""))


@dataclass(slots=True)
class _Sending:
    """One copy of an errand on its way."""

    errand: Errand
    random: random.Random
    tries: int = 0
    races: int = 0
    repeated: bool = False
    version: int = 1


@dataclass(slots=True)
class Clients:
    """All clients of one schedule. Mutable: `told` grows."""

    scheduler: Scheduler
    environments: Environments
    plan: Plan
    margin: float
    told: list[Told] = field(default_factory=list)
    overruns: int = 0
    """Requests that ran into the function's timeout though nothing hung."""

    def begin(self, begins: float, errands: Sequence[Errand]) -> None:
        """Have all errands begin in time, given the time of the beginning."""
        for errand in errands:
            for copy in range(errand.copies):
                sending = _Sending(errand, random.Random(f"{errand} {copy}"))
                self.scheduler.at(begins + errand.at, partial(self._send, sending))

    def order_of(self, number: int) -> str | None:
        """Return the id of the order that an errand has placed, as far as its client knows."""
        ids = [told.body["orderId"] for told in self.told if told.errand.number == number and told.is_good]
        return ids[0] if ids else None

    def _send(self, sending: _Sending) -> None:
        event = self._event(sending)
        if event is None:
            return
        sending.tries += 1
        fault = self.plan.draw(OF_REQUEST)
        if fault is Fault.NOT_STARTED:
            self._take(sending, NOT_BEGUN, {})
            return
        if fault in {Fault.TWICE, Fault.LATE_TWICE} and sending.errand.key:
            later = 0.0 if fault is Fault.TWICE else sending.random.uniform(0, 20)
            self._invocation(event).start(later, lambda _: None)
        is_lost = fault is Fault.LOST_ANSWER
        memory_lasts = sending.random.uniform(0, 0.05) if fault is Fault.OUT_OF_MEMORY else None
        invocation = self._invocation(event)
        ended = partial(self._ended, sending, invocation, is_lost=is_lost)
        invocation.start(sending.random.uniform(0.001, 0.01), ended, memory_lasts)

    def _event(self, sending: _Sending) -> dict[str, Any] | None:
        errand = sending.errand
        if errand.want not in CHANGING:
            return {"errand": errand}
        order = self.order_of(errand.order)
        return None if order is None else {"errand": errand, "order": order, "version": sending.version}

    def _invocation(self, event: Mapping[str, Any]) -> Invocation:
        return Invocation(self.scheduler, self.environments, event, timeout=TIMEOUT_SECONDS, margin=self.margin)

    def _ended(self, sending: _Sending, invocation: Invocation, outcome: InvocationOutcome, *, is_lost: bool) -> None:
        self.overruns += invocation.overran
        if isinstance(outcome, Answered) and not is_lost:
            payload: Mapping[str, Any] = outcome.payload or {}
            self._take(sending, payload["status"], payload["body"])
        else:
            self._take(sending, NO_ANSWER, {})

    def _take(self, sending: _Sending, status: int, body: Mapping[str, Any]) -> None:
        """Note what a send came to, and send once more where that is called for."""
        told = Told(sending.errand, self.scheduler.now, status, body, last=False)
        wait = self._wait(sending, told)
        self.told.append(replace(told, last=wait is None))
        if wait is not None:
            self.scheduler.at(self.scheduler.now + wait, partial(self._send, sending))

    def _wait(self, sending: _Sending, told: Told) -> float | None:
        """Return after how long the client sends once more, None where it does not."""
        errand, rng = sending.errand, sending.random
        grown = rng.uniform(0, min(_LONGEST_WAIT, 0.1 * 2 ** min(sending.tries, 10)))
        if told.is_open:
            # Without a key nobody knows whether the same may be sent again, unless it did not even begin.
            may_repeat = errand.key or told.status == NOT_BEGUN or errand.want not in {*REMEMBERED, *_UNREPEATABLE}
            return grown if may_repeat and sending.tries < _TRIES else None
        if told.code == "RACE_CONDITION" and sending.races < _RACES:
            sending.races += 1
            return grown
        if told.code == "VERSION_CONFLICT" and sending.races < _RACES:
            sending.races += 1
            sending.version = int(told.body["current"]["version"])
            return grown
        if errand.again is not None and not sending.repeated:
            sending.repeated = True
            return errand.again
        return None


_UNREPEATABLE = frozenset({Want.SETTINGS, Want.COUNT})
