"""Observations that the trigger and the gateway tell to a watcher: the view, a recording, the scenario, a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tablestream.local.delivery.protocol import DeliveryEvent, DiscardRecords, Gathered, Invoke
    from tablestream.local.runtime.function import Invocation


@dataclass(frozen=True, slots=True)
class DeliveryStep:
    """The delivery of a shard did something."""

    mapping: str
    shard_id: str
    event: DeliveryEvent


@dataclass(frozen=True, slots=True)
class Read:
    """Records were read from a shard; `written` are the times (unix seconds) of their writes by sequence number.

    Only for records of which the source knows the fraction of the second: the records themselves do not carry it.
    """

    mapping: str
    shard_id: str
    written: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The records of a shard that wait, by slot, have changed; `window` is the mapping's batching window in seconds."""

    mapping: str
    shard_id: str
    gathered: Sequence[Gathered]
    window: float


@dataclass(frozen=True, slots=True)
class Ended:
    """An invocation ended. `at` in unix seconds."""

    mapping: str
    invoke: Invoke
    invocation: Invocation
    at: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Records were given up; `destination` says where the on-failure record went, None if there is no destination."""

    mapping: str
    discard: DiscardRecords
    destination: str | None
    at: float


@dataclass(frozen=True, slots=True)
class KeptBack:
    """For the first time the mapping's filters kept back records, so many at once: no invocation tells of them."""

    mapping: str
    count: int
    filters: Sequence[str]
    at: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """The trigger could not read the stream or reach a destination; it goes on. `message` is for a person."""

    mapping: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Logged:
    """A function wrote a line."""

    function: str
    line: str


@dataclass(frozen=True, slots=True)
class RequestServed:
    """A request to an HTTP API was answered with `status` in `seconds`; `at` in unix seconds.

    `error` is the function's, if it failed; `changes` has the number of changes of the tables that the request led to
    by their kind, as far as that is known.
    """

    api: str
    method: str
    path: str
    status: int
    error: Mapping[str, Any] | None
    changes: Mapping[str, int]
    seconds: float
    at: float

    @property
    def changed(self) -> str:
        """The changes in words."""
        return ", ".join(f"{count} {kind}" for kind, count in self.changes.items())


Observation = DeliveryStep | Read | Waiting | Ended | GivenUp | KeptBack | Trouble | Logged | RequestServed
