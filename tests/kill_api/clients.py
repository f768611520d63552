"""Clients of the HTTP API that kill the process which serves them, and send the same again under the same key."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.kill_api.process import ApiProcess
from tests.simulation.door.clients import NO_ANSWER, Told
from tests.simulation.door.errands import CHANGING, MARKS, NOBODY, PLACING, Errand, Want
from tests.support.http_requests import request

USERS = ("u0", "u1", "u2", "u3")
ACCOUNTS = (10**12, 10**12, 40 * MARKS, 0)
"""The opening balances: two have more than is ever moved, two are soon short."""
STOCK = (10**6, 10**6, 300)
"""The units of each product: of the last there is too little."""
_TRIES = 200
_WANTS = (
    *(Want.ORDER, Want.ORDER_NOW, Want.ORDER_NOW, Want.ORDER_NOW),
    *(Want.TRANSFER, Want.TRANSFER, Want.TRANSFER, Want.SETTINGS),
)


@dataclass(slots=True)
class Tally:
    """The kills of a run, counted by all clients. Mutable."""

    wanted: int
    inside: int = 0
    """Of processes with a request under way."""
    between: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_reached(self) -> bool:
        return self.inside + self.between >= self.wanted

    def count(self, *, inside: bool) -> None:
        with self._lock:
            self.inside += inside
            self.between += not inside


class Client:
    """One client with a process of its own. Its errands come from a seed; when they are disturbed does not."""

    def __init__(self, number: int, clients: int, seed: int, start: Callable[[], ApiProcess], tally: Tally) -> None:
        self._numbers = iter(range(number, MARKS, clients))
        self._random = random.Random(f"{seed} {number}")
        self._start = start
        self._tally = tally
        self._process = start()
        self._usual_seconds = 0.02
        self.errands: list[Errand] = []
        self.told: list[Told] = []

    def run(self) -> None:
        """Do errands until there were kills enough."""
        try:
            while not self._tally.is_reached:
                self._errand()
        finally:
            self._process.kill()

    def _errand(self) -> None:
        rng, number = self._random, next(self._numbers)
        errand = drawn(rng, number)
        answered = self._done(errand)
        if errand.key and rng.random() < 0.1:
            self._done(replace(errand, again=0.0), note=False)  # the same once more, after its answer
        if errand.key and rng.random() < 0.1:
            self._done(another(errand, next(self._numbers)))
        if errand.want is Want.ORDER_NOW and answered.is_good and rng.random() < 0.3:
            cancel = Errand(next(self._numbers), 0.0, Want.CANCEL, errand.who, errand.mark, order=number)
            self._done(cancel, order=str(answered.body["orderId"]))

    def _done(self, errand: Errand, *, order: str = "", note: bool = True) -> Told:
        """Send an errand until there is an answer, or once where nobody may send it again."""
        if note:
            self.errands.append(errand)
        event = event_of(errand, order)
        may_repeat = bool(errand.key or order)
        told = Told(errand, time.time(), NO_ANSWER, {}, last=True)
        for left in reversed(range(_TRIES if may_repeat else 1)):
            others = [self._start() for _ in range(errand.copies - 1)]
            for other in others:
                other.send(event)
            status, body = self._asked(event)
            told = Told(errand, time.time(), status, body, last=not left or status not in {NO_ANSWER, 503})
            self.told.append(told)
            for other in others:
                status, body = other.answer()
                self.told.append(replace(told, status=status, body=body, last=False))
                other.kill()
            if told.last:
                break
        return told

    def _asked(self, event: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """Send a request to the process; kill it at some time before, while or after it is carried out, or never."""
        if self._random.random() < 0.05:
            self._kill(inside=False)
        begun = time.monotonic()
        self._process.send(event)
        if not self._tally.is_reached and self._random.random() < 0.5:
            seconds = self._random.uniform(0, 1.4 * self._usual_seconds)
            if not self._process.answers_within(seconds):
                self._kill(inside=True)
                return NO_ANSWER, {}
        answer = self._process.answer()
        self._usual_seconds += 0.1 * (time.monotonic() - begun - self._usual_seconds)
        return answer

    def _kill(self, *, inside: bool) -> None:
        self._process.kill()
        self._tally.count(inside=inside)
        self._process = self._start()


def drawn(rng: random.Random, number: int) -> Errand:
    """Draw an errand whose number is its mark."""
    want = rng.choice(_WANTS)
    errand = Errand(number, 0.0, want, rng.choice(USERS), number)
    if want is Want.SETTINGS:
        return errand
    errand = replace(errand, key=f"k{number}", copies=2 if rng.random() < 0.1 else 1)
    if want in PLACING:
        lines = {rng.choice((0, 0, 0, 1, 2)): rng.randint(1, 3) for _ in range(rng.choice((1, 2, 3)))}
        return replace(errand, lines=tuple(lines.items()))
    payer = rng.choice((0, 0, 1, 1, 2, 3))
    to = NOBODY if rng.random() < 0.05 else f"a{rng.choice([n for n in range(len(ACCOUNTS)) if n != payer])}"
    return replace(errand, who=f"a{payer}", to=to, amount=rng.randint(1, 20) * MARKS + number)


def another(errand: Errand, number: int) -> Errand:
    """Return an errand with another body under the same key."""
    amount = errand.amount and errand.amount - errand.mark + number
    lines = tuple((product, quantity + 1) for product, quantity in errand.lines)
    return replace(errand, number=number, mark=number, amount=amount, lines=lines, copies=1)


def event_of(errand: Errand, order: str) -> dict[str, Any]:
    """Return an errand as a request of the HTTP API; `order` is the id of the order that it changes."""
    headers = {"idempotency-key": errand.key} if errand.key else {}
    body = json.dumps(errand.body())
    if errand.want in PLACING:
        query = {"reserve": "now"} if errand.want is Want.ORDER_NOW else None
        return request("POST", f"/users/{errand.who}/orders", body, query, **headers)
    if errand.want is Want.TRANSFER:
        return request("POST", "/transfers", body, None, **headers)
    if errand.want in CHANGING:
        return request("PATCH", f"/users/{errand.who}/orders/{order}", body)
    return request("PUT", f"/users/{errand.who}/settings", body)
