"""Records wait here until a batch of them goes: batch size, batching window, payload, window boundaries (rule 8, D)."""

from __future__ import annotations

from collections import deque

from tablestream.local.delivery.batch import PAYLOAD_LIMIT, DeliveryBatch, QueuedRecord
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.windows import TumblingWindow


class BatchBuffer:
    """The records of one slot that are not in a batch yet. Mutable: a queue."""

    __slots__ = ("_bytes", "_settings", "_waiting", "closed")

    def __init__(self, settings: MappingSettings) -> None:
        self._settings = settings
        self._waiting: deque[QueuedRecord] = deque()
        self._bytes = 0
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def head(self) -> QueuedRecord | None:
        """The oldest record."""
        return self._waiting[0] if self._waiting else None

    def add(self, entry: QueuedRecord) -> None:
        """Add the next record of the slot."""
        self._waiting.append(entry)
        self._bytes += entry.size

    def ready_at(self, window: TumblingWindow | None) -> float | None:
        """When a batch can be cut: a time in the past or now if it can be, None if there is nothing.

        That the batching window begins when the oldest record was read, also while the slot was busy, is inferred (I).
        """
        if not self._waiting:
            return None
        if self.closed or self._full() or self._reaches_past(window):
            return self._waiting[0].offered
        return self._waiting[0].offered + self._settings.batching_window

    def cut(self, window: TumblingWindow | None) -> DeliveryBatch:
        """Take the next batch: at most batch size records and 6 MB, within one window."""
        entries: list[QueuedRecord] = []
        size = 0
        while self._waiting and len(entries) < self._settings.batch_size:
            entry = self._waiting[0]
            size += entry.size
            if entries and (size > PAYLOAD_LIMIT or not _within(window, entry)):
                break
            entries.append(self._waiting.popleft())
            self._bytes -= entry.size
        return DeliveryBatch(tuple(entries))

    def _full(self) -> bool:
        return len(self._waiting) >= self._settings.batch_size or self._bytes >= PAYLOAD_LIMIT

    def _reaches_past(self, window: TumblingWindow | None) -> bool:
        """Whether a later window's record is here already: then the open window gets no more."""
        return not _within(window, self._waiting[-1])


def _within(window: TumblingWindow | None, entry: QueuedRecord) -> bool:
    return window is None or window.holds(entry.created)
