"""Items as records, and a replay of ten thousand of them: constant memory, true figures, nothing repeated."""

from __future__ import annotations

import gzip
import io
import json
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tablestream.ops.invoking import Answer, FirstFailed, Invoke, Reported, StoredLetter
from tablestream.ops.planning import identity_of
from tablestream.ops.replay import Replay, ReplayState, default_path
from tablestream.ops.sending import Sender, Tally
from tablestream.ops.sources import Export, Maker, Scan, SourceTable, as_key
from tablestream.ops.terminal import CommandError, OutcomeUnknownError, StoppedError
from tests.support.items import stored_item

ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"
MAKER = Maker(ARN, ("pk", "sk"), "spring", 1_767_225_600.0, notify=False)
PAGE = 250


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
        page: dict[str, Any] = {"Items": [stored_item(number) for number in numbers]}
        if numbers and numbers[-1] + segments < self.items:
            page["LastEvaluatedKey"] = {name: page["Items"][-1][name] for name in ("pk", "sk")}
        return page


class FakeWorker:
    """Counts what it gets; it fails from some invocation on, and every tenth order is poison to it."""

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
        poison = [record for record in records if record["dynamodb"]["Keys"]["sk"]["S"].endswith("0")]
        return Reported(None, {identity_of(record): StoredLetter("InvalidRecord", None) for record in poison})


def table_of(client: Any, segments: int) -> Scan:
    return Scan(client, SourceTable("orders", ARN, ("pk", "sk"), {"pk": "S", "sk": "S"}, 0, 0), segments)


def replaying(path: Path, table: FakeTable, worker: Invoke, segments: int = 4, **settings: Any) -> Replay:
    state = ReplayState.opened(path, {"segments": segments}, "spring", 0.0, notify=False)
    tally = Tally()
    tally.include(state.tally)
    defaults: dict[str, Any] = {
        "source": table_of(table, segments),
        "sender": lambda tally: Sender(worker, tally),
        "store": lambda _outcomes: None,
        "noted": lambda _outcome: None,
        "advanced": lambda _count: None,
        "threads": segments,
    }
    return Replay(state=state, maker=MAKER, tally=tally, **{**defaults, **settings})


def test_every_item_is_sent_once(tmp_path: Path) -> None:
    worker = FakeWorker()
    replay = replaying(tmp_path / "s", FakeTable(10_000), worker)
    replay.run()
    assert (replay.tally.applied, replay.tally.poison, replay.tally.passed_over) == (9_000, 1_000, 0)
    assert replay.state.tally.fields() == replay.tally.fields()
    assert len(worker.seen) == sum(worker.seen.values()) == 10_000


def test_a_replay_that_stopped_tells_what_it_did_and_goes_on_there(tmp_path: Path) -> None:
    table, first, second = FakeTable(10_000), FakeWorker(fails_from=50), FakeWorker()
    replay = replaying(tmp_path / "s", table, first)
    with pytest.raises(StoppedError):
        replay.run()
    poison = sum(count for order, count in first.seen.items() if order.endswith("0"))
    assert (replay.tally.poison, replay.tally.applied) == (poison, first.seen.total() - poison)
    replay = replaying(tmp_path / "s", table, second)
    replay.run()
    assert (replay.tally.applied, replay.tally.poison, replay.tally.unknown) == (9_000, 1_000, 0)
    seen = first.seen + second.seen
    assert len(seen) == sum(seen.values()) == 10_000, "not even the page that each segment was at is sent again"


def test_a_batch_that_was_under_way_is_counted_once_when_it_is_sent_again(tmp_path: Path) -> None:
    answers: list[Answer | Exception] = [
        Reported(),
        FirstFailed(""),
        Reported(),
        OutcomeUnknownError("the connection broke"),
    ]

    def worker(_records: Sequence[Any]) -> Answer:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    first = replaying(tmp_path / "s", FakeTable(PAGE), worker, 1)
    with pytest.raises(OutcomeUnknownError):
        first.run()
    assert (first.tally.applied, first.tally.unknown) == (150, 50)
    second = replaying(tmp_path / "s", FakeTable(PAGE), _deaf, 1)
    assert second.tally.applied == 100
    second.run()
    assert second.tally.fields() == {**Tally().fields(), "applied": PAGE}


def test_items_of_other_entities_do_not_make_batches_small(tmp_path: Path) -> None:
    sizes: list[int] = []

    def worker(records: Sequence[Any]) -> Answer:
        sizes.append(len(records))
        return Reported()

    class Mixed(FakeTable):
        def scan(self, **request: Any) -> Any:
            page = super().scan(**request)
            for item in page["Items"]:
                if int(item["sk"]["S"][6:]) % 2:
                    item["entityType"] = {"S": "Customer"}
            return page

    replay = replaying(tmp_path / "s", Mixed(2 * PAGE), worker, 1, entities=frozenset({"Order"}))
    replay.run()
    assert sizes == [100, 25, 100, 25]
    assert (replay.tally.applied, replay.tally.passed_over) == (PAGE, PAGE)


@pytest.mark.parametrize("fails_at", range(1, 5))
def test_what_is_passed_over_is_counted_once_wherever_it_stops(tmp_path: Path, fails_at: int) -> None:
    class Mixed(FakeTable):
        def scan(self, **request: Any) -> Any:
            page = super().scan(**request)
            for item in page["Items"]:
                if int(item["sk"]["S"][6:]) % 3:
                    item["entityType"] = {"S": "Customer"}
            return page

    settings: dict[str, Any] = {"entities": frozenset({"Order"}), "batch_size": 30}
    with pytest.raises(StoppedError):
        replaying(tmp_path / "s", Mixed(300), FakeWorker(fails_at), 1, **settings).run()
    replay = replaying(tmp_path / "s", Mixed(300), FakeWorker(), 1, **settings)
    replay.run()
    assert (replay.tally.applied, replay.tally.poison, replay.tally.passed_over) == (90, 10, 200)


def test_a_second_ctrl_c_waits_for_nothing_and_counts_what_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def worker(_records: Sequence[Any]) -> Answer:
        begun.set()
        over.wait(60)
        return Reported()

    class Pressed(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            begun.wait(timeout or 60)
            raise KeyboardInterrupt

    monkeypatch.setattr("tablestream.ops.replay.Thread", Pressed)
    replay = replaying(tmp_path / "s", FakeTable(PAGE), worker, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            replay.run()
        assert (replay.tally.applied, replay.tally.unknown) == (0, 100)
    finally:
        over.set()


def test_that_an_invocation_may_still_be_running_is_told_whatever_else_failed(tmp_path: Path) -> None:
    def worker(records: Sequence[Any]) -> Answer:
        mine = int(records[0]["dynamodb"]["Keys"]["sk"]["S"][6:]) % 2
        raise OutcomeUnknownError("the connection broke") if mine else StoppedError("as asked")

    with pytest.raises(OutcomeUnknownError):
        replaying(tmp_path / "s", FakeTable(PAGE), _at_once(2, worker), 2).run()


def _at_once(threads: int, worker: Invoke) -> Invoke:
    """Have the first calls of some threads meet, so that none ends before the others begin."""
    barrier = threading.Barrier(threads)

    def meeting(records: Sequence[Any]) -> Answer:
        barrier.wait(60)
        return worker(records)

    return meeting


def test_the_state_lies_in_the_users_folder_and_each_replay_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    scan = {"table": ARN, "kind": "scan", "segments": 4}
    assert str(default_path(scan, {"XDG_STATE_HOME": "/state"})).startswith("/state/tablestream/replay-orders-")
    assert default_path(scan, {"XDG_STATE_HOME": "here"}).parent == Path("/home/ann/.local/state/tablestream")
    others = [{**scan, "kind": "query"}, {**scan, "segments": 8}, {**scan, "table": f"{ARN}-2"}, {**scan, "notify": 1}]
    assert len({default_path(one, {}) for one in [scan, *others]}) == 5
    assert default_path(dict(reversed(scan.items())), {}) == default_path(scan, {})


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"source": {}, "notify": false, "run": "r", "at": 0, "cursors": []}']
)
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content)
    with pytest.raises(CommandError, match="is not the state of a replay"):
        ReplayState.opened(tmp_path / "s", {}, "r", 0.0, notify=False)


def test_only_its_owner_may_read_the_state(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "s"
    ReplayState.opened(path, {}, "r", 0.0, notify=False)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


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
    return Reported()


def test_a_binary_key_survives_the_state_file(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Client:
        def scan(self, **request: Any) -> Any:
            seen.append(request.get("ExclusiveStartKey"))
            return {"Items": [], **({"LastEvaluatedKey": {"pk": {"B": b"\xff"}}} if len(seen) == 1 else {})}

    (first, _) = table_of(Client(), 1).pages("0/1", None)
    state = ReplayState.opened(tmp_path / "s", {}, "r", 0.0, notify=False)
    state.advance("0/1", first.after, Tally())
    assert as_key(ReplayState.opened(tmp_path / "s", {}, "r", 0.0, notify=False).cursors["0/1"]) == {
        "pk": {"B": b"\xff"}
    }
    assert seen[1] == {"pk": {"B": b"\xff"}}


class FakeExport:
    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def get_object(self, **request: Any) -> Any:
        return {"Body": io.BytesIO(self.objects[request["Key"].rpartition("/")[2].partition(".")[0].replace("-", "_")])}


def lines(count: int) -> bytes:
    return gzip.compress("".join(json.dumps({"Item": stored_item(number)}) + "\n" for number in range(count)).encode())


def test_a_file_whose_last_page_is_full_is_done_with_it(tmp_path: Path) -> None:
    manifest = json.dumps({"dataFileS3Key": "f/data.json.gz"}).encode()
    export = Export(FakeExport(data=lines(1000), manifest_files=manifest), "b", "f")
    state = ReplayState.opened(tmp_path / "s", {}, "spring", 0.0, notify=False)
    replay = replaying(tmp_path / "other", FakeTable(0), _deaf)
    replace(replay, source=export, state=state).run()
    assert (state.tally.applied, state.rest(export.units())) == (1000, [])


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    if tracemalloc.is_tracing():
        tracemalloc.stop()
