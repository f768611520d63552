"""Where every shard's delivery stands: kept from observations, shown below the deliveries and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from local.events import (
    Advanced,
    Checkpointed,
    Delivered,
    DeliveryEvent,
    Discarded,
    Filtered,
    Invoked,
    Retried,
    Split,
)
from local.latency import Latency
from local.observations import Ended, Observation, Read, Step

LAST_DIGITS = 8  # of an id or a sequence number: enough to tell them apart on a screen


@dataclass(slots=True)
class ShardStatus:
    """One shard. `lanes` holds what each busy one does. Mutable: it follows the events."""

    lanes: dict[int, str] = field(default_factory=dict)
    waiting_since: dict[int, float] = field(default_factory=dict)
    checkpoint: str = ""
    delivered: int = 0
    filtered: int = 0
    attempts_again: int = 0
    halves: int = 0
    given_up: int = 0

    def follow(self, event: DeliveryEvent) -> None:
        """Take one event."""
        match event:
            case Invoked():
                self.lanes[event.lane] = f"{event.lane}: {event.count} in flight, attempt {event.attempt + 1}"
                if event.oldest is not None:
                    self.waiting_since[event.lane] = event.oldest
            case Delivered():
                self.delivered += event.count
                self._rest(event.lane)
            case Advanced():
                self.delivered += event.done
                self.lanes[event.lane] = f"{event.lane}: {event.left} come again"
            case Retried():
                self.attempts_again += 1
                self.lanes[event.lane] = f"{event.lane}: {event.count} again in {event.wait:.1f} s"
            case Split():
                self.halves += 1
                self.lanes[event.lane] = f"{event.lane}: halved, {event.first_half} + {event.second_half}"
            case Discarded():
                self.given_up += event.count
                self._rest(event.lane)
            case Filtered():
                self.filtered += event.count
            case Checkpointed():
                self.checkpoint = event.sequence_number
            case _:
                return

    def age(self, now: float) -> float:
        """Seconds since the oldest record that is not done was written."""
        return max((now - since for since in self.waiting_since.values()), default=0.0)

    def _rest(self, lane: int) -> None:
        self.lanes.pop(lane, None)
        self.waiting_since.pop(lane, None)


class Status:
    """All shards of all mappings, and the latency. Mutable: it follows the observations."""

    columns = (
        "mapping",
        "shard",
        "lanes",
        "iterator age",
        "checkpoint",
        "done",
        "filtered",
        "retried",
        "halved",
        "given up",
    )

    def __init__(self) -> None:
        self._shards: dict[tuple[str, str], ShardStatus] = {}
        self.latency = Latency()

    def follow(self, observation: Observation) -> float | None:
        """Take one observation; returns the latency that an invocation showed, in seconds."""
        if isinstance(observation, Step):
            self._shards.setdefault((observation.mapping, observation.shard_id), ShardStatus()).follow(
                observation.event
            )
        elif isinstance(observation, Read):
            self.latency.read(observation)
        elif isinstance(observation, Ended):
            return self.latency.add(observation)
        return None

    def rows(self, now: float) -> list[Sequence[object]]:
        """One row a shard, as `columns` names its cells."""
        return [
            (
                mapping,
                short(shard_id),
                "; ".join(text for _, text in sorted(shard.lanes.items())) or "idle",
                f"{shard.age(now):.1f} s",
                short(shard.checkpoint),
                shard.delivered,
                shard.filtered,
                shard.attempts_again,
                shard.halves,
                shard.given_up,
            )
            for (mapping, shard_id), shard in self._shards.items()
        ]


def short(identifier: str) -> str:
    """The end of a shard id or a sequence number."""
    return identifier[-LAST_DIGITS:]
