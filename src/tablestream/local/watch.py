"""Remembers what the trigger did, and waits for something to have happened."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tablestream.local.delivery.protocol import Advanced, Delivered, Invoked, Retried, Split
from tablestream.local.trigger.observations import DeliveryStep, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tablestream.local.trigger.observations import Observation

Row = tuple[DeliveryStep, Invoked, Ended]


class Watch:
    """Takes observations from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: list[Observation] = []

    def __call__(self, observation: Observation) -> None:
        """Remember one observation."""
        with self._changed:
            self._seen.append(observation)
            self._changed.notify_all()

    @property
    def seen(self) -> Sequence[Observation]:
        """Everything so far."""
        with self._changed:
            return tuple(self._seen)

    def count(self, *kinds: type) -> int:
        """How often a shard's delivery did one of these (classes of `tablestream.local.delivery.protocol`)."""
        return sum(isinstance(o.event, kinds) for o in self.seen if isinstance(o, DeliveryStep))

    def wait_for(self, condition: Callable[[Watch], bool], timeout: float) -> bool:
        """Wait until the condition holds; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout)

    def deliveries(self) -> list[Row]:
        """Each invocation that was answered: what came of it, how it began, how it ended."""
        invoked: dict[tuple[str, str, int], Invoked] = {}
        ended: dict[tuple[str, str, int], Ended] = {}
        rows: list[Row] = []
        for seen in self.seen:
            if isinstance(seen, Ended):
                ended[seen.mapping, seen.invoke.shard_id, seen.invoke.id] = seen
            elif isinstance(seen, DeliveryStep) and isinstance(seen.event, Invoked):
                invoked[seen.mapping, seen.shard_id, seen.event.invoke_id] = seen.event
            elif isinstance(seen, DeliveryStep) and isinstance(seen.event, Delivered | Advanced | Retried | Split):
                key = (seen.mapping, seen.shard_id, seen.event.invoke_id)
                rows.append((seen, invoked[key], ended[key]))
        return rows
