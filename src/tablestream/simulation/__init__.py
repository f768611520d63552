"""Plays fault schedules against a worker of one's own, and makes the shortest of one that fails; docs/testing.md.

The pytest plugin `tablestream.simulation.plugin` comes with the wheel. pytest loads it at each start, so nothing else
is imported before a test asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tablestream.simulation.driver import Trial
    from tablestream.simulation.schedule import Mishap
    from tablestream.simulation.services import SentEffect, Services, fresh
    from tablestream.simulation.stream import ScheduleFailed, Stream

__all__ = ["Mishap", "ScheduleFailed", "SentEffect", "Services", "Stream", "Trial", "fresh"]

_HOMES = {
    "Mishap": "schedule",
    "ScheduleFailed": "stream",
    "SentEffect": "services",
    "Services": "services",
    "Stream": "stream",
    "Trial": "driver",
    "fresh": "services",
}

if not TYPE_CHECKING:  # where it stands, a type checker takes any name for one of this module's

    def __getattr__(name: str) -> Any:
        """Import what a name stands for when it is first asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
