"""Which objects a command is about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tablestream.ops.parked import Parked

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters that all have to hold; an empty one always does."""

    reasons: frozenset[str] = frozenset()
    entities: frozenset[str] = frozenset()
    since: float | None = None
    """Seconds since the epoch, inclusive; of the time at which the records were set aside for the first time."""
    until: float | None = None
    """Likewise, exclusive."""
    prefix: str = ""
    """How the object's key begins."""
    keys: frozenset[str] = frozenset()

    @property
    def narrow(self) -> bool:
        """Whether there is any filter."""
        return self != Selection()

    def takes(self, parked: Parked) -> bool:
        """Tell whether an object is selected. One without a time is in no range."""
        if self.keys and parked.key not in self.keys:
            return False
        if self.reasons and parked.reason not in self.reasons:
            return False
        if self.entities and not self.entities & set(parked.entities):
            return False
        return parked.key.startswith(self.prefix) and self._in_range(parked.first_time)

    def _in_range(self, time: float | None) -> bool:
        if time is None:
            return self.since is None and self.until is None
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


def time_of(text: str, now: float) -> float:
    """Return a point in time in seconds since the epoch: ISO 8601 (UTC unless it says otherwise), or `2h` ago.

    Units are s, m, h, d and w. Raises `ValueError`.
    """
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"wanted a time like 2026-01-31T12:00Z, or 90m, 2h, 3d for ago; got {text!r}") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
