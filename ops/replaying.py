"""The replay: pages of items become batches of records, and a page is noted when each of them has found its fate."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ops.items import Item, Maker, entity_of
from ops.parked import item_of
from ops.planning import MAX_BYTES
from ops.sending import Fate, Parcel, Result, Sender
from ops.sources import Page, Source
from ops.state import State
from tablestream.change import RawRecord

SENT, FAILED, PASSED_OVER = "sent", "failed", "passed over"


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays a source."""

    source: Source
    state: State
    maker: Maker
    sender: Callable[[], Sender]
    """Makes a sender; each unit has its own."""
    park: Callable[[Sequence[Result]], None]
    """Keeps what failed, where a redrive finds it."""
    advanced: Callable[[int], None]
    """Told how many items more are done."""
    entities: frozenset[str] = frozenset()
    """The entity types that are sent; none named: all items."""
    batch_size: int = 100
    threads: int = 4

    def run(self) -> Mapping[str, int]:
        """Replay what is left of the source; return how many items were sent, failed or passed over in all.

        Raises `StoppedError`: the units stop at the page that each of them is at, which is sent again next time.
        """
        stop = threading.Event()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="replay") as pool:
            units = self.state.rest(self.source.units())
            futures = [pool.submit(self._unit, unit, stop) for unit in units]
        for future in futures:
            future.result()
        return self.state.counts

    def _unit(self, unit: str, stop: threading.Event) -> None:
        if stop.is_set():
            return
        sender = self.sender()
        try:
            for page in self.source.pages(unit, self.state.cursors.get(unit)):
                self.state.advance(unit, page.after, self._page(page, sender))
                self.advanced(len(page.items))
                if stop.is_set():
                    return
            self.state.advance(unit, None, {})
        except BaseException:
            stop.set()
            raise

    def _page(self, page: Page, sender: Sender) -> Counter[str]:
        counts: Counter[str] = Counter()
        wanted = [item for item in page.items if not self.entities or entity_of(item) in self.entities]
        counts[PASSED_OVER] = len(page.items) - len(wanted)
        for batch in batches(self._records(wanted), self.batch_size):
            results = list(sender.send(batch))
            failed = [result for result in results if result.fate is not Fate.SETTLED]
            self.park(failed)
            counts[SENT] += len(results) - len(failed)
            counts[FAILED] += len(failed)
        return counts

    def _records(self, items: Sequence[Item]) -> Iterator[RawRecord]:
        return (self.maker.record(item) for item in items)


def batches(records: Iterator[RawRecord], most: int, most_bytes: int = MAX_BYTES) -> Iterator[list[Parcel]]:
    """Cut records into batches of at most `most` records and `most_bytes` bytes."""
    batch: list[Parcel] = []
    size = 0
    for record in records:
        length = len(json.dumps(record, separators=(",", ":")))
        if batch and (len(batch) == most or size + length > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(Parcel(record, item_of(record)))
        size += length + 1
    if batch:
        yield batch
