"""Items as records, and a replay of ten thousand of them: constant memory, and a resume that leaves none out."""

from __future__ import annotations

import gzip
import io
import json
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ops.errors import StoppedError, UsageError
from ops.invoking import Answer, Invoke, Settled
from ops.items import Maker, as_key
from ops.pace import Pace
from ops.replaying import FAILED, PASSED_OVER, SENT, Replaying
from ops.sending import Sender
from ops.sources import Export, Scan
from ops.state import State
from tablestream import Change
from tablestream.testing import FakeClock, image

ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"
MAKER = Maker(ARN, ("pk", "sk"), "spring", 1_767_225_600.0, notify=False)
PAGE = 250


def order(number: int) -> dict[str, Any]:
    plain = {"pk": f"USER#{number % 100}", "sk": f"ORDER#{number}", "entityType": "Order", "note": "x" * 300}
    return image(plain)


class FakeTable:
    """Scans of a table of any size, which exists page by page only."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.pages = 0

    def scan(self, **request: Any) -> Any:
        segment, segments = request["Segment"], request["TotalSegments"]
        begin = int(request.get("ExclusiveStartKey", {"sk": {"S": f"ORDER#{segment - segments}"}})["sk"]["S"][6:])
        numbers = range(begin + segments, self.items, segments)[:PAGE]
        self.pages += 1
        page: dict[str, Any] = {"Items": [order(number) for number in numbers]}
        if numbers and numbers[-1] + segments < self.items:
            page["LastEvaluatedKey"] = {name: page["Items"][-1][name] for name in ("pk", "sk")}
        return page


class FakeWorker:
    """Counts what it gets; it fails from some invocation on."""

    def __init__(self, fails_from: int = 10**9) -> None:
        self.seen: Counter[str] = Counter()
        self.calls = 0
        self.fails_from = fails_from
        self._lock = threading.Lock()

    def __call__(self, records: Sequence[Any]) -> Answer:
        with self._lock:
            self.calls += 1
            if self.calls >= self.fails_from:
                raise StoppedError("killed")
            self.seen.update(record["dynamodb"]["Keys"]["sk"]["S"] for record in records)
        return Settled()


def replaying(path: Path, table: FakeTable, worker: Invoke, segments: int = 4) -> Replaying:
    return Replaying(
        source=Scan(table, "orders", segments),
        state=State.opened(path, {"segments": segments}, "spring", 0.0, notify=False),
        maker=MAKER,
        sender=lambda: Sender(worker),
        park=lambda _results: None,
        advanced=lambda _count: None,
        threads=segments,
    )


def test_every_item_is_sent_once(tmp_path: Path) -> None:
    worker = FakeWorker()
    counts = replaying(tmp_path / "s", FakeTable(10_000), worker).run()
    assert (counts[SENT], counts[FAILED], counts[PASSED_OVER]) == (10_000, 0, 0)
    assert len(worker.seen) == sum(worker.seen.values()) == 10_000


def test_a_replay_that_stopped_goes_on_and_repeats_no_more_than_a_page_a_segment(tmp_path: Path) -> None:
    table, first, second = FakeTable(10_000), FakeWorker(fails_from=50), FakeWorker()
    with pytest.raises(StoppedError):
        replaying(tmp_path / "s", table, first).run()
    assert replaying(tmp_path / "s", table, second).run()[SENT] == 10_000
    seen = first.seen + second.seen
    assert len(seen) == 10_000
    assert sum(seen.values()) <= 10_000 + 4 * PAGE


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    def peak(items: int) -> int:
        tracemalloc.start()
        replaying(tmp_path / str(items), FakeTable(items), _deaf).run()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1_000)  # imports and caches
    small = peak(2_500)
    assert peak(10_000) < small * 1.3


def _deaf(_records: Sequence[Any]) -> Answer:
    return Settled()


def test_the_same_run_makes_the_same_record_and_another_run_another() -> None:
    record = MAKER.record(order(1))
    assert record == MAKER.record(order(1))
    assert record["eventID"] != Maker(ARN, ("pk", "sk"), "autumn", 0.0, notify=False).record(order(1))["eventID"]
    assert record["eventID"] != MAKER.record(order(2))["eventID"]


def test_the_record_is_one_the_engine_takes() -> None:
    record = MAKER.record({**order(1), "photo": {"B": b"\x00\xff"}, "all": {"L": [{"BS": [b"a"]}]}})
    change = Change.from_record(json.loads(json.dumps(record)))
    assert (change.kind, change.replayed, change.redriven) == ("INSERT", True, False)
    assert change.new is not None
    assert change.new["photo"] == b"\x00\xff"
    assert change.keys["sk"] == "ORDER#1"
    assert change.event_id == record["eventID"]


def test_its_sequence_number_is_below_every_real_one() -> None:
    number = MAKER.record(order(1))["dynamodb"]["SequenceNumber"]
    assert 21 <= len(number) <= 40
    assert int(number) < 10**20


def test_only_asked_for_it_notifies() -> None:
    assert "notify" not in MAKER.record(order(1))
    assert Maker(ARN, ("pk", "sk"), "spring", 0.0, notify=True).record(order(1))["notify"] is True


def test_a_binary_key_survives_the_state_file(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Table:
        def scan(self, **request: Any) -> Any:
            seen.append(request.get("ExclusiveStartKey"))
            return {"Items": [], **({"LastEvaluatedKey": {"pk": {"B": b"\xff"}}} if len(seen) == 1 else {})}

    (first, _) = Scan(Table(), "t", 1).pages("0/1", None)
    state = State.opened(tmp_path / "s", {}, "r", 0.0, notify=False)
    state.advance("0/1", first.after, {})
    assert as_key(State.opened(tmp_path / "s", {}, "r", 0.0, notify=False).cursors["0/1"]) == {"pk": {"B": b"\xff"}}
    assert seen[1] == {"pk": {"B": b"\xff"}}


class FakeExport:
    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def get_object(self, **request: Any) -> Any:
        return {"Body": io.BytesIO(self.objects[request["Key"].rpartition("/")[2].partition(".")[0].replace("-", "_")])}


def lines(count: int) -> bytes:
    return gzip.compress("".join(json.dumps({"Item": order(number)}) + "\n" for number in range(count)).encode())


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (999, [999]), (1000, [1000]), (2500, [1000, 1000, 500])])
def test_an_export_file_is_read_by_thousands(count: int, sizes: list[int]) -> None:
    export = Export(FakeExport(data=lines(count)), "b", "f")
    assert [len(page.items) for page in export.pages("f/data.json.gz", None)] == sizes


def test_a_file_whose_last_page_is_full_is_done_with_it(tmp_path: Path) -> None:
    manifest = json.dumps({"dataFileS3Key": "f/data.json.gz"}).encode()
    export = Export(FakeExport(data=lines(1000), manifest_files=manifest), "b", "f")
    state = State.opened(tmp_path / "s", {}, "spring", 0.0, notify=False)
    Replaying(export, state, MAKER, lambda: Sender(_deaf), lambda _results: None, lambda _count: None).run()
    assert (state.counts[SENT], state.rest(export.units())) == (1000, [])


def test_an_export_file_goes_on_at_a_line() -> None:
    export = Export(FakeExport(data=lines(2500)), "b", "f")
    (page, rest) = export.pages("f/data.json.gz", 1000)
    assert page.items[0] == order(1000)
    assert (page.after, len(rest.items), rest.after) == (2000, 500, None)


@pytest.mark.parametrize(
    "summary", [{"exportType": "INCREMENTAL_EXPORT"}, {"exportType": "FULL_EXPORT", "outputFormat": "ION"}]
)
def test_another_kind_of_export_is_refused(summary: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="wanted a full export"):
        Export(FakeExport(manifest_summary=json.dumps(summary).encode()), "b", "f").check()


def test_a_pace_is_kept_over_many_batches() -> None:
    clock = FakeClock()
    pace = Pace(50.0, clock)
    began = clock.now()
    for _ in range(10):
        pace.wait(100)
    assert clock.now() - began == pytest.approx(18.0)


def test_no_rate_is_no_wait() -> None:
    clock = FakeClock()
    Pace(0.0, clock).wait(10**9)
    assert clock.slept == []


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    if tracemalloc.is_tracing():
        tracemalloc.stop()
