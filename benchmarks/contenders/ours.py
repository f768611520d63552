"""The worker of this project with handlers that do what those of the peers do: they look at one attribute."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contenders.stubs import worker
from tablestream.aws import quiet_collector
from tablestream.change import Change
from tablestream.router import Router

_router = Router()


@dataclass(frozen=True, slots=True)
class Take:
    """Take stock."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell of a change."""

    event_id: str
    status: str


@_router.on_insert("Order")
def placed(change: Change) -> tuple[Take, Tell]:
    """Take stock and tell of it."""
    return Take(change.event_id), told(change)


@_router.on_modify("Order", changed=("status",))
@_router.on_remove("Order")
def told(change: Change) -> Tell:
    """Tell of it."""
    return Tell(change.event_id, change.image["status"])


handler = worker(_router, (Take,), (Tell,))
quiet_collector()
