"""`EventBus`: events put on an EventBridge bus, ten in a call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tablestream.aws import Aws, variable_of
from tablestream.errors import InvalidRecord
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Effect
from tablestream.sinks.messages import Answers, Batch, Entry, Service, as_json, refusal, send_all, untold

MAX_EVENT_BYTES = 262_144
"""The size of a call of PutEvents, of its entries together (EventBridge user guide, "Calculating PutEvents size")."""
_BUS = re.compile(r"[A-Za-z0-9_./-]{1,256}|arn:[a-z0-9-]+:events:[a-z0-9-]+:\d{12}:event-bus/[A-Za-z0-9_./-]{1,256}")
_WANTED = "the name or the ARN of an event bus"


@dataclass(frozen=True, slots=True)
class Event:
    """Put an event on a bus: its detail type, as `order.received`, and its detail, told as in a `Message`.

    Raises `InvalidRecord` for one that is larger than EventBridge takes, `TypeError` for a value that no item holds.
    """

    detail_type: str
    detail: Mapping[str, Any]
    source: str = "tablestream"
    key: str | None = None
    """The name that tells the event from others of the same record; see `Effect`."""
    text: str = field(init=False, compare=False, repr=False)
    """The detail as it is sent."""
    size: int = field(init=False, compare=False, repr=False)
    """The bytes that count against the limit, in UTF-8."""

    def __post_init__(self) -> None:
        """Compose the detail and check the size."""
        text = as_json(self.detail)
        size = len(text) + len(self.detail_type.encode()) + len(self.source.encode())
        if size > MAX_EVENT_BYTES:
            raise InvalidRecord(f"wanted an event of at most {MAX_EVENT_BYTES} bytes, got {size}")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "size", size)


class EventBus:
    """Puts `Event` effects on a bus, at least once. Needs `events:PutEvents` on the bus."""

    idempotent = False

    def __init__(
        self, name: str, client: Any = None, *, sink_name: str | None = None, takes: type[Event] = Event
    ) -> None:
        """Take the bus's ARN, or a name: `EventBus("orders")` is the bus in the variable `ORDERS_BUS`.

        Two sinks of one worker need different effects: `takes` is a class of your own that is made of `Event`.

        Without a client the worker's `handler()` connects it. `sink_name` is the name of the sink in the journal, by
        default that which was given, or the last part of the ARN.
        """
        self._given = name
        self._client = client
        self._takes = takes
        self.takes = (takes,)
        self.name = sink_name or name.rpartition("/")[2]

    def connect(self, aws: Aws) -> EventBus:
        """Return the sink with its bus and client."""
        bus = self._given
        if not bus.startswith("arn:"):
            bus = aws.named(variable_of(self._given, "BUS"), _BUS, _WANTED)
        client = self._client or aws.client(
            "events", lambda general, config: general.create_client("events", config=config)
        )
        return EventBus(bus, client, sink_name=self.name, takes=self._takes)

    def apply(self, effects: Sequence[Effect[Event]], run: Run) -> Sequence[Answer]:
        """Put; answer for each event."""
        entries = [Entry(self._content(effect.value), effect.value.size) for effect in effects]
        return send_all(Service("EventBridge", MAX_EVENT_BYTES, self._put), entries, run)

    def _content(self, event: Event) -> Mapping[str, Any]:
        return {
            "Source": event.source,
            "DetailType": event.detail_type,
            "Detail": event.text,
            "EventBusName": self._given,
        }

    def _put(self, batch: Batch) -> Answers:
        if self._client is None:
            raise RuntimeError(f"the bus {self._given} is not connected: worker.handler() does that")
        entries: list[Any] = [entry.content for entry in batch.values()]
        told = self._client.put_events(Entries=entries).get("Entries", [])
        if len(told) != len(batch):
            return dict.fromkeys(batch, untold("EventBridge"))
        return {place: _answer(entry) for place, entry in zip(batch, told, strict=True)}


def _answer(entry: Mapping[str, Any]) -> Answer:
    if entry.get("ErrorCode"):
        return refusal("EventBridge", entry["ErrorCode"], sender=False)
    return DONE if entry.get("EventId") else untold("EventBridge")
