"""The replay: pages of items become batches of records; a batch is noted when it is known what became of each."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from tablestream.ops.items import Maker, entity_of
from tablestream.ops.parked import item_of
from tablestream.ops.planning import MAX_BYTES
from tablestream.ops.sending import PendingRecord, RecordOutcome, Sender, Tally
from tablestream.ops.sources import Cursor, Page, Source
from tablestream.ops.state import State
from tablestream.ops.terminal import OutcomeUnknownError
from tablestream.report import RecordState


@dataclass(slots=True)
class Part:
    """The next items of a page that go together, and where to go on after them. Mutable: it is filled item by item."""

    after: Cursor = None
    records: list[PendingRecord] = field(default_factory=list)
    size: int = 0
    """Bytes of the records."""
    passed_over: int = 0

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.records) + self.passed_over


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays a source."""

    source: Source
    state: State
    maker: Maker
    sender: Callable[[Tally], Sender]
    """Makes a sender that counts; each unit has its own."""
    tally: Tally
    """What became of the records, at any moment; the state counts only batches that are finished."""
    park: Callable[[Sequence[RecordOutcome]], None]
    """Stores what failed as dead letters, where a redrive finds it."""
    noted: Callable[[RecordOutcome], None]
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
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="replay")
        try:
            units = self.state.rest(self.source.units())
            futures = [pool.submit(self._unit, unit, stop) for unit in units]
            wait(futures)
        except BaseException:
            # A second Ctrl-C: what is under way is not waited for.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        _raise_worst(futures)

    def _unit(self, unit: str, stop: threading.Event) -> None:
        if stop.is_set():
            return
        sender = self.sender(self.tally)
        try:
            for page in self.source.pages(unit, self.state.cursors.get(unit)):
                for part in self._parts(page):
                    self.state.advance(unit, part.after, self._sent(part, sender))
                    self.advanced(part.items)
                    if stop.is_set():
                        return
            self.state.advance(unit, None, Tally())
        except BaseException:
            stop.set()
            raise

    def _parts(self, page: Page) -> Iterator[Part]:
        """Cut a page into batches of at most so many records and bytes, with what is passed over between them."""
        part = Part()
        for position, item in enumerate(page.items):
            if self.entities and entity_of(item) not in self.entities:
                part.passed_over += 1
            else:
                record = self.maker.record(item)
                length = len(json.dumps(record, separators=(",", ":"))) + 1
                if part.records and (len(part.records) == self.batch_size or part.size + length > MAX_BYTES):
                    part.after = page.within(position - 1)
                    yield part
                    part = Part()
                part.records.append(PendingRecord(record, item_of(record)))
                part.size += length
        part.after = page.after
        yield part

    def _sent(self, part: Part, sender: Sender) -> Tally:
        """Send a batch and return what became of it."""
        outcomes: list[RecordOutcome] = []

        def note(outcome: RecordOutcome) -> None:
            outcomes.append(outcome)
            self.noted(outcome)

        self.tally.add("passed_over", part.passed_over)
        if part.records:
            sender.send(part.records, note)
        self.park([outcome for outcome in outcomes if outcome.state in {RecordState.FAILED, RecordState.HELD_BACK}])
        tally = Tally(passed_over=part.passed_over)
        for outcome in outcomes:
            tally.count(outcome)
        return tally


def _raise_worst(futures: Sequence[Future[None]]) -> None:
    """Raise what a unit ended with; first that an invocation may still be running, for the lease depends on it."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: not isinstance(error, OutcomeUnknownError)):
        raise error
