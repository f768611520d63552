"""What our workers are put together with where they would talk to AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tablestream.dead_letters import DeadLetter
from tablestream.router import Router
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Effect
from tablestream.worker import Worker


class _Sink:
    """Answers that all is done."""

    def __init__(self, name: str, takes: tuple[type, ...], *, idempotent: bool) -> None:
        self.name = name
        self.takes = takes
        self.idempotent = idempotent

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        return [DONE] * len(effects)


class _Nowhere:
    """A journal that knows nothing, and dead letters that go nowhere."""

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:
        return dict.fromkeys(keys, frozenset())

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        pass

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        return [DONE] * len(letters)

    def key(self, letter: DeadLetter) -> str:
        return letter.event_id


def worker(router: Router, stock: tuple[type, ...], messages: tuple[type, ...]) -> Worker:
    """Put a worker together with two sinks: one that may repeat what it does, one that is journalled."""
    made = Worker(
        sinks=[_Sink("inventory", stock, idempotent=True), _Sink("notifications", messages, idempotent=False)],
        journal=_Nowhere(),
        dead_letters=_Nowhere(),
        table="orders",
    )
    made.include(router)
    return made
