"""A limit to how many records a second are sent."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tablestream.run import Clock


@dataclass(slots=True)
class Pace:
    """Lets `rate` records a second pass, evenly. Safe to share between threads. Mutable: it knows when the next may."""

    rate: float
    """Records a second; 0 for no limit."""
    clock: Clock
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, records: int) -> None:
        """Wait until these records may be sent."""
        if self.rate <= 0:
            return
        with self._lock:
            now = self.clock.now()
            at = max(now, self._next)
            self._next = at + records / self.rate
        if at > now:
            self.clock.sleep(at - now)
