"""The state of each shard and slot, invocations with their outcomes, and the time from a write to its handler.

All of it is put together from observations; `trigger.observations` has these.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from tablestream.local.delivery.protocol import (
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
from tablestream.local.trigger.observations import DeliveryStep, Ended, GivenUp, Read, Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tablestream.local.delivery.protocol import Gathered
    from tablestream.local.trigger.observations import Observation


@dataclass(frozen=True, slots=True)
class Finished:
    """An invocation of which is known what the delivery made of it: `event` says so.

    `invoked.oldest` is told to a fraction of a second where the stream tells it, as its records do not.

    `latency` is the time in seconds from the write of its oldest record to the handler, for records that came for the
    first time; None for others, and where the stream tells no fractions of a second.
    """

    mapping: str
    shard_id: str
    invoked: Invoked
    ended: Ended
    event: DeliveryEvent | GivenUp
    latency: float | None


LAST_DIGITS = 8  # of an id or a sequence number: enough to tell them apart on a screen


@dataclass(slots=True)
class ShardStatus:
    """One shard. `slots` holds what each busy one does. Mutable: it follows the events."""

    slots: dict[int, str] = field(default_factory=dict)
    waiting_since: dict[int, float] = field(default_factory=dict)
    gathered: Sequence[Gathered] = ()
    window: float = 0
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
                self.slots[event.slot] = f"{event.count} in flight, attempt {event.attempt + 1}"
                if event.oldest is not None:
                    self.waiting_since[event.slot] = event.oldest
            case Delivered():
                self.delivered += event.count
                self._rest(event.slot)
            case Advanced():
                self.delivered += event.done
                self.slots[event.slot] = f"{event.left} come again"
            case Retried():
                self.attempts_again += 1
                self.slots[event.slot] = f"{event.count} again in {event.wait:.1f} s"
            case Split():
                self.halves += 1
                self.slots[event.slot] = f"halved into {event.first_half} + {event.second_half}"
            case Discarded():
                self.given_up += event.count
                self._rest(event.slot)
            case Filtered():
                self.filtered += event.count
            case Checkpointed():
                self.checkpoint = event.sequence_number
            case _:
                return

    def work(self, now: float) -> dict[int, str]:
        """The work of each slot that is busy, or has records that wait."""
        waiting = {one.slot: self._wait(one, now) for one in self.gathered}
        slots = sorted(self.slots.keys() | waiting.keys())
        return {slot: ", ".join(filter(None, [self.slots.get(slot), waiting.get(slot)])) for slot in slots}

    def _wait(self, gathered: Gathered, now: float) -> str:
        if gathered.until is None:
            return f"{gathered.count} behind"
        who = "1 record waits" if gathered.count == 1 else f"{gathered.count} records wait"
        return f"{who} for the window of {self.window:g} s, {max(0.0, gathered.until - now):.0f} s to go"

    def counts(self) -> dict[str, int]:
        """The records that are done and filtered out, the attempts again, the halvings, the records given up."""
        return {
            "done": self.delivered,
            "filtered": self.filtered,
            "retried": self.attempts_again,
            "halved": self.halves,
            "given up": self.given_up,
        }

    def lag(self, now: float) -> float:
        """The age in seconds of the oldest record that was handed out and is not done; 0 for none."""
        return max((now - since for since in self.waiting_since.values()), default=0.0)

    def line(self, now: float) -> str:
        """The work under way, the age of the oldest record that is not done, and the counts."""
        busy = [f"slot {slot}: {what}" if slot else what for slot, what in self.work(now).items()]
        oldest = [f"the oldest {self.lag(now):.1f} s old"] if self.waiting_since else []
        counted = [f"{count} {what}" for what, count in self.counts().items() if count or what == "done"]
        return f"{', '.join([*(busy or ['idle']), *oldest])}; {', '.join(counted)}"

    def _rest(self, slot: int) -> None:
        self.slots.pop(slot, None)
        self.waiting_since.pop(slot, None)


class Status:
    """All shards of all mappings, and the latency. Mutable: it follows the observations."""

    def __init__(self) -> None:
        self._shards: dict[tuple[str, str], ShardStatus] = {}
        self._invoked: dict[tuple[str, str, int], Invoked] = {}
        self._ended: dict[tuple[str, str, int], tuple[Ended, float | None]] = {}
        self.latency = Latency()

    def follow(self, observation: Observation) -> Finished | None:
        """Take one observation; returns the invocation whose outcome it tells."""
        if isinstance(observation, DeliveryStep):
            return self._step(observation)
        if isinstance(observation, Read):
            self.latency.read(observation)
        elif isinstance(observation, Waiting):
            shard = self._shards.setdefault((observation.mapping, observation.shard_id), ShardStatus())
            shard.gathered, shard.window = observation.gathered, observation.window
        elif isinstance(observation, Ended):
            key = observation.mapping, observation.invoke.shard_id, observation.invoke.id
            self._ended[key] = observation, self.latency.add(observation)
        elif isinstance(observation, GivenUp) and (number := observation.discard.invoke_id) is not None:
            return self._finished((observation.mapping, observation.discard.shard_id, number), observation)
        return None

    def _step(self, step: DeliveryStep) -> Finished | None:
        shard, event = (step.mapping, step.shard_id), step.event
        if isinstance(event, Invoked):
            event = replace(event, oldest=self.latency.written_at(*shard, event.first) or event.oldest)
        self._shards.setdefault(shard, ShardStatus()).follow(event)
        if isinstance(event, Invoked):
            self._invoked[*shard, event.invoke_id] = event
        elif isinstance(event, Delivered | Advanced | Retried | Split):
            return self._finished((*shard, event.invoke_id), event)
        return None

    def _finished(self, key: tuple[str, str, int], event: DeliveryEvent | GivenUp) -> Finished | None:
        invoked, (ended, latency) = self._invoked.pop(key, None), self._ended.pop(key, (None, None))
        if invoked is None or ended is None:
            return None
        mapping, shard_id, _ = key
        return Finished(mapping, shard_id, invoked, ended, event, latency)

    def shards(self, mapping: str) -> int:
        """The number of shards that were seen of a mapping's stream."""
        return sum(name == mapping for name, _ in self._shards)

    def lines(self, now: float, *, verbose: bool = False) -> list[str]:
        """A line a shard. Which shard is said where there are several; `verbose` adds that and the checkpoint."""
        return [
            f"{mapping}{self._named(mapping, shard_id, verbose=verbose)}: {shard.line(now)}"
            + (f"; checkpoint {short(shard.checkpoint) or 'none'}" if verbose else "")
            for (mapping, shard_id), shard in self._shards.items()
        ]

    def told(self, now: float) -> list[dict[str, Any]]:
        """A JSON object a shard: mapping, shard, the work of its busy slots, lag in seconds, counts, checkpoint."""
        return [
            {
                "mapping": mapping,
                "shard": short(shard_id),
                "slots": {str(slot): what for slot, what in shard.work(now).items()},
                "lag": round(shard.lag(now), 1),
                "counts": shard.counts(),
                "checkpoint": short(shard.checkpoint),
            }
            for (mapping, shard_id), shard in self._shards.items()
        ]

    def _named(self, mapping: str, shard_id: str, *, verbose: bool) -> str:
        return f" {short(shard_id)}" if verbose or self.shards(mapping) > 1 else ""


def short(identifier: str) -> str:
    """The end of a shard id or a sequence number."""
    return identifier[-LAST_DIGITS:]


REMEMBERED = 10_000  # records
FEWEST_FOR_TAIL = 20


class Latency:
    """Collects one sample per record, of its first delivery. Mutable: it is a measurement.

    Of records whose time of writing was not told to a fraction of a second (DynamoDB Local tells the minute) nothing is
    measured.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, str, str], float] = {}
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._delivered: dict[tuple[str, str, int], int] = {}
        self._coarse = False

    def read(self, read: Read) -> None:
        """Take the times at which records were written."""
        self._written |= {(read.mapping, read.shard_id, number): at for number, at in read.written.items()}
        while len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]

    def written_at(self, mapping: str, shard_id: str, number: str | None) -> float | None:
        """The time at which a record was written, if it is known to a fraction of a second and not forgotten."""
        return None if number is None else self._written.get((mapping, shard_id, number))

    def add(self, ended: Ended) -> float | None:
        """Take an invocation; returns the longest of its new samples in seconds, if it has any."""
        began = ended.invocation.began
        if began is None:
            return None
        shard = (ended.mapping, ended.invoke.shard_id)
        slot = (*shard, ended.invoke.slot)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in ended.invoke.records]
        fresh = [number for number in numbers if int(number) > self._delivered.get(slot, -1)]
        written = [at for number in fresh if (at := self.written_at(*shard, number)) is not None]
        if fresh:
            self._delivered[slot] = int(fresh[-1])
            self._coarse |= len(written) < len(fresh)
        self._seconds += [began - time for time in written]
        return began - min(written) if written else None

    @property
    def count(self) -> int:
        """Samples so far, as far as they are remembered."""
        return len(self._seconds)

    @property
    def median(self) -> float | None:
        """Seconds."""
        return median(self._seconds) if self._seconds else None

    def summary(self) -> str:
        """In words, for a person."""
        if not self._seconds:
            return "not measured, as the stream tells no fractions of a second" if self._coarse else "no record yet"
        tail, noun = "", "record" if len(self._seconds) == 1 else "records"
        if len(self._seconds) >= FEWEST_FOR_TAIL:
            tail = f", 95 % within {quantiles(self._seconds, n=20)[-1] * 1000:.0f} ms"
        return f"median {median(self._seconds) * 1000:.0f} ms{tail} ({len(self._seconds)} {noun})"
