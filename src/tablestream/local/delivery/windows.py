"""Tumbling windows: which records belong together, and the state handed from one invocation to the next (rule 33).

Documented: windows are bounded by the records' creation times; state is at most 1 MB, else the window ends early; at
its end the function is invoked once more with isFinalInvokeForWindow. Inferred: windows begin at multiples of their
length; a record older than the open window belongs to it; the final invocation carries no records; after an early end
the same period opens with fresh state. A mapping with windows has one slot a shard (rule 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tablestream.local.delivery.protocol import WindowContext

STATE_LIMIT = 1024 * 1024
"""Bytes of state a shard may keep (D)."""


class TumblingWindow:
    """One open window of one slot. Mutable: its state changes with each answer. Times are unix seconds."""

    __slots__ = ("end", "ended_early", "start", "state")

    def __init__(self, first_record_at: float, length: float) -> None:
        self.start = first_record_at // length * length
        self.end = self.start + length
        self.state: Mapping[str, Any] = {}
        self.ended_early = False

    def holds(self, created: float) -> bool:
        """Whether a record created at this time belongs to the window."""
        return created < self.end

    def keep(self, state: Mapping[str, Any]) -> None:
        """Take over the state of an answer; one that is too large ends the window."""
        self.state = state
        if len(json.dumps(state, separators=(",", ":"))) > STATE_LIMIT:
            self.ended_early = True

    def context(self, *, is_final: bool) -> WindowContext:
        """What the next invocation is told."""
        return WindowContext(self.start, self.end, self.state, is_final, is_final and self.ended_early)
