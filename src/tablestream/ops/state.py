"""How far a replay has come, in a file: whoever runs the same command again goes on there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tablestream.ops.sending import Tally
from tablestream.ops.sources import Cursor
from tablestream.ops.terminal import UsageError


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
    tally: Tally = field(default_factory=Tally)
    """What became of all that lies before the cursors."""
    resumed: bool = False
    """Whether the file was there."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def opened(cls, path: Path, source: Mapping[str, Any], run: str, at: float, *, notify: bool) -> State:
        """Read a file, or write a first one. Raises `UsageError` for the file of another replay."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            state = cls(path, source, run, at, notify)
            state._write()
            return state
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            same = known["source"] == dict(source) and known["notify"] == notify
            tally = Tally.of(known["tally"])
            state = cls(path, source, known["run"], known["at"], notify, known["cursors"], set(known["done"]), tally)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"{path} is not the state of a replay: name another file with --state") from None
        if not same:
            raise UsageError(f"{path} is the state of another replay: name another file with --state, or delete it")
        state.resumed = True
        return state

    def advance(self, unit: str, cursor: Cursor, tally: Tally) -> None:
        """Note what became of the items up to a cursor; without a cursor the unit is done."""
        with self._lock:
            if cursor is None:
                self.done.add(unit)
                self.cursors.pop(unit, None)
            else:
                self.cursors[unit] = cursor
            self.tally.include(tally)
            self._write()

    def rest(self, units: Sequence[str]) -> list[str]:
        """Return the units that are not done."""
        return [unit for unit in units if unit not in self.done]

    def remove(self) -> None:
        """Remove the file: the replay is finished."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        """Write a new file and put it in the place of the old: there is always a whole one."""
        content = {
            "source": dict(self.source),
            "run": self.run,
            "at": self.at,
            "notify": self.notify,
            "cursors": self.cursors,
            "done": sorted(self.done),
            "tally": self.tally.fields(),
        }
        aside = self.path.with_name(f".{self.path.name}.tmp")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 -- a descriptor has no path
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path)


def default_path(source: Mapping[str, Any], environment: Mapping[str, str]) -> Path:
    """Return where the state of a replay is kept: a file for each source, in the user's folder for state.

    That is `$XDG_STATE_HOME`, or `~/.local/state` (XDG Base Directory Specification).
    """
    given = environment.get("XDG_STATE_HOME", "")
    home = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    digest = hashlib.sha256(json.dumps(dict(source), sort_keys=True).encode()).hexdigest()[:12]
    table = re.sub(r"[^A-Za-z0-9_.-]", "-", str(source["table"]).rpartition("/")[2])
    return home / "tablestream" / f"replay-{table}-{digest}.json"
