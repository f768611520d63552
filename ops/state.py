"""How far a replay has come, in a file: whoever runs the same command again goes on there."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.errors import UsageError
from ops.sources import Cursor


@dataclass(slots=True)
class State:
    """The progress of one replay. Mutable, safe to share between threads; every advance is on disk when it returns.

    The file holds keys of items, so only its owner may read it.
    """

    path: Path
    source: Mapping[str, Any]
    """What is replayed: a file is good for one replay only."""
    run: str
    at: float
    notify: bool
    cursors: dict[str, Cursor] = field(default_factory=dict)
    """Where to go on, for each unit that has begun."""
    done: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    resumed: bool = False
    """Whether the file was there."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def opened(cls, path: Path, source: Mapping[str, Any], run: str, at: float, *, notify: bool) -> State:
        """Read a file, or write a first one. Raises `UsageError` for the file of another replay."""
        if not path.exists():
            state = cls(path, source, run, at, notify)
            state._write()
            return state
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            same = known["source"] == dict(source) and known["notify"] == notify
            state = cls(path, source, known["run"], known["at"], notify, known["cursors"], set(known["done"]))
            state.counts, state.resumed = known["counts"], True
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{path} is not the state of a replay: name another file with --state") from None
        if not same:
            raise UsageError(f"{path} is the state of another replay: name another file with --state, or delete it")
        return state

    def advance(self, unit: str, cursor: Cursor, counts: Mapping[str, int]) -> None:
        """Note that a page is done; without a cursor its unit is."""
        with self._lock:
            if cursor is None:
                self.done.add(unit)
                self.cursors.pop(unit, None)
            else:
                self.cursors[unit] = cursor
            for name, count in counts.items():
                self.counts[name] = self.counts.get(name, 0) + count
            self._write()

    def rest(self, units: Sequence[str]) -> list[str]:
        """Return the units that are not done."""
        return [unit for unit in units if unit not in self.done]

    def _write(self) -> None:
        """Write a new file and put it in the place of the old: there is always a whole one."""
        content = {
            "source": dict(self.source),
            "run": self.run,
            "at": self.at,
            "notify": self.notify,
            "cursors": self.cursors,
            "done": sorted(self.done),
            "counts": self.counts,
        }
        aside = self.path.with_name(f".{self.path.name}.tmp")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 -- a descriptor has no path
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path)
