"""The replay: pages of items become batches of records; a batch is noted when it is known what became of each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from tablestream.ops.planning import MAX_BYTES, item_of
from tablestream.ops.sending import PendingRecord, Sender, SendOutcome, Tally
from tablestream.ops.sources import Cursor, ItemPage, ItemSource, Maker, entity_of
from tablestream.ops.terminal import CommandError, OutcomeUnknownError
from tablestream.report import RecordState


@dataclass(slots=True)
class ReplayState:
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
    def opened(cls, path: Path, source: Mapping[str, Any], run: str, at: float, *, notify: bool) -> ReplayState:
        """Read a file, or write a first one. Raises `CommandError` for the file of another replay."""
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
            raise CommandError(f"{path} is not the state of a replay: name another file with --state") from None
        if not same:
            raise CommandError(f"{path} is the state of another replay: name another file with --state, or delete it")
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


@dataclass(slots=True)
class ReplayBatch:
    """The next items of a page that go together, and where to go on after them. Mutable: it is filled item by item."""

    after: Cursor = None
    records: list[PendingRecord] = field(default_factory=list)
    size: int = 0
    """Bytes of the records."""
    passed_over: int = 0

    @property
    def items(self) -> int:
        """The number of items."""
        return len(self.records) + self.passed_over


@dataclass(frozen=True, slots=True)
class Replay:
    """Replays a source."""

    source: ItemSource
    state: ReplayState
    maker: Maker
    sender: Callable[[Tally], Sender]
    """Makes a sender that counts; each unit has its own."""
    tally: Tally
    """What became of the records, at any moment; the state counts only batches that are finished."""
    store: Callable[[Sequence[SendOutcome]], None]
    """Stores what failed as dead letters, where a redrive finds it."""
    noted: Callable[[SendOutcome], None]
    """Told what became of each record."""
    advanced: Callable[[int], None]
    """Told how many items more are done."""
    entities: frozenset[str] = frozenset()
    """The entity types that are sent; none named: all items."""
    batch_size: int = 100
    threads: int = 4

    def run(self) -> None:
        """Replay what is left of the source.

        Raises `StoppedError`: the units stop at the batch that each of them is at, which is sent again next time.
        """
        stop = threading.Event()
        units: SimpleQueue[str] = SimpleQueue()
        for unit in self.state.rest(self.source.units()):
            units.put(unit)
        errors: list[BaseException] = []
        # Daemons: after a second Ctrl-C nobody waits for the invocations under way.
        threads = [Thread(target=self._work, args=(units, stop, errors), daemon=True) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            stop.set()
            raise
        # First that an invocation may still be running, for the lease depends on it.
        for error in sorted(errors, key=lambda error: not isinstance(error, OutcomeUnknownError)):
            raise error

    def _work(self, units: SimpleQueue[str], stop: threading.Event, errors: list[BaseException]) -> None:
        while not stop.is_set():
            try:
                self._unit(units.get_nowait(), stop)
            except Empty:
                return
            except BaseException as error:  # noqa: BLE001 -- raised in the thread that waits for this one
                errors.append(error)
                stop.set()

    def _unit(self, unit: str, stop: threading.Event) -> None:
        sender = self.sender(self.tally)
        for page in self.source.pages(unit, self.state.cursors.get(unit)):
            for batch in self._batches(page):
                self.state.advance(unit, batch.after, self._sent(batch, sender))
                self.advanced(batch.items)
                if stop.is_set():
                    return
        self.state.advance(unit, None, Tally())

    def _batches(self, page: ItemPage) -> Iterator[ReplayBatch]:
        """Cut a page into batches of at most so many records and bytes, with what is passed over between them."""
        batch = ReplayBatch()
        for position, item in enumerate(page.items):
            if self.entities and entity_of(item) not in self.entities:
                batch.passed_over += 1
            else:
                record = self.maker.record(item)
                length = len(json.dumps(record, separators=(",", ":"))) + 1
                if batch.records and (len(batch.records) == self.batch_size or batch.size + length > MAX_BYTES):
                    batch.after = page.within(position - 1)
                    yield batch
                    batch = ReplayBatch()
                batch.records.append(PendingRecord(record, item_of(record)))
                batch.size += length
        batch.after = page.after
        yield batch

    def _sent(self, batch: ReplayBatch, sender: Sender) -> Tally:
        """Send a batch and return what became of it."""
        outcomes: list[SendOutcome] = []

        def note(outcome: SendOutcome) -> None:
            outcomes.append(outcome)
            self.noted(outcome)

        self.tally.add("passed_over", batch.passed_over)
        if batch.records:
            sender.send(batch.records, note)
        self.store([outcome for outcome in outcomes if outcome.state in {RecordState.FAILED, RecordState.HELD_BACK}])
        tally = Tally(passed_over=batch.passed_over)
        for outcome in outcomes:
            tally.count(outcome)
        return tally
