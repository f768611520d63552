"""The worker of this project with the shop's own handlers; only what talks to AWS is stubbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shop.effects import Notification, Release, Reserve
from shop.handlers import routes
from tablestream.collector import spare_batches
from tablestream.dead_letters import DeadLetter
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Effect
from tablestream.worker import Worker


class _Sink:
    """Answers that all is done; `reads` is what it does with each effect, if anything."""

    def __init__(
        self, name: str, takes: tuple[type, ...], *, idempotent: bool, reads: Callable[[Any], object] | None
    ) -> None:
        self.name = name
        self.takes = takes
        self.idempotent = idempotent
        self._reads = reads

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        if self._reads is not None:
            for effect in effects:
                self._reads(effect.value)
        return [DONE] * len(effects)


class _Nowhere:
    """A journal that knows nothing, and dead letters that go nowhere."""

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 -- the protocol's
        return dict.fromkeys(keys, frozenset())

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        pass

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        return [DONE] * len(letters)

    def key(self, letter: DeadLetter) -> str:
        return letter.event_id


def worker(
    read_order: Callable[[Any], object] | None = None, read_notification: Callable[[Any], object] | None = None
) -> Worker:
    """Put the worker together; the stubs of its sinks read each effect, if they are told how."""
    made = Worker(
        sinks=[
            _Sink("inventory", (Reserve, Release), idempotent=True, reads=read_order),
            _Sink("notifications", (Notification,), idempotent=False, reads=read_notification),
        ],
        journal=_Nowhere(),
        dead_letters=_Nowhere(),
        table="orders",
    )
    made.include(routes())
    return made


handler = worker()
spare_batches()
