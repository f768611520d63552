"""The worker of this project with the shop's own handlers; only what talks to AWS is stubbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shop.effects import Notification, Release, Reserve
from shop.handlers import routes
from tablestream.clock import Deadline
from tablestream.collector import spare_batches
from tablestream.dead_letters import DeadLetter
from tablestream.effects import DONE, Answer
from tablestream.worker import Worker


class _Sink:
    """Answers that all is done."""

    def __init__(self, name: str, takes: tuple[type, ...], *, idempotent: bool) -> None:
        self.name = name
        self.takes = takes
        self.idempotent = idempotent

    def apply(self, effects: Sequence[Any], deadline: Deadline) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        return [DONE] * len(effects)


class _Nowhere:
    """A journal that knows nothing, and dead letters that go nowhere."""

    def read(self, event_ids: Sequence[str], deadline: Deadline) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 -- the protocol's
        return dict.fromkeys(event_ids, frozenset())

    def record(self, done: Mapping[str, frozenset[str]], deadline: Deadline) -> None:
        pass

    def store(self, letters: Sequence[DeadLetter], deadline: Deadline) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        return [DONE] * len(letters)


handler = Worker(
    routes(),
    [
        _Sink("inventory", (Reserve, Release), idempotent=True),
        _Sink("notifications", (Notification,), idempotent=False),
    ],
    journal=_Nowhere(),
    dead_letters=_Nowhere(),
    table_name="orders",
)
spare_batches()
