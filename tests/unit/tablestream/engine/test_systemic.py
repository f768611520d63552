"""Broken code parks at most ten records, however small Lambda cuts the batch; bad records are parked as ever."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tablestream import Change, MissingAttribute, SystemicFailure, Worker
from tablestream.testing import FakeClock, MemoryDeadLetters, MemoryJournal, Record, event
from tests.unit.tablestream.kit import Bench, made

BUGS = ["raise:bug", "read:statsu"]
"""What a broken handler does for each record: it raises, or it reads an attribute by a name that no item has."""


def deliver(worker: Worker, records: Sequence[Record], size: int) -> int:
    """Deliver records in batches of a size; return how many invocations raised."""
    raised = 0
    for start in range(0, len(records), size):
        try:
            worker({"Records": list(records[start : start + size])})
        except SystemicFailure:
            raised += 1
    return raised


def halve(worker: Worker, records: Sequence[Record]) -> int:
    """Deliver as Lambda does with bisect, until records stand alone; return how many invocations raised."""
    try:
        worker({"Records": list(records)})
    except SystemicFailure:
        if len(records) == 1:
            return 1
        middle = len(records) // 2
        return 1 + halve(worker, records[:middle]) + halve(worker, records[middle:])
    return 0


def of(does: str, count: int, *, first: int = 0) -> list[Record]:
    return event(*[made(f"{does} {number}", does) for number in range(first, first + count)])["Records"]


def under_suspicion(bench: Bench) -> Worker:
    worker = bench.worker
    with pytest.raises(SystemicFailure):
        worker({"Records": of("raise:bug", 10)})
    return worker


@pytest.mark.parametrize("does", BUGS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 9, 10, 11, 30, 90])
def test_a_bug_parks_at_most_ten_records_whatever_the_size_of_the_batches(size: int, does: str) -> None:
    bench = Bench()
    assert deliver(bench.worker, of(does, 90), size) > 0
    assert len(bench.letters.letters) < 10


@pytest.mark.parametrize("does", BUGS)
@pytest.mark.parametrize("size", [1, 9, 10])
def test_a_bug_that_begins_after_many_good_records_parks_at_most_ten(size: int, does: str) -> None:
    bench = Bench()
    worker = bench.worker
    assert deliver(worker, of("stock:1", 500), 50) == 0
    assert deliver(worker, of(does, 90, first=500), size) > 0
    assert len(bench.letters.letters) <= 10


@pytest.mark.parametrize("does", BUGS)
def test_halving_the_batch_of_a_broken_deployment_parks_no_record(does: str) -> None:
    bench = Bench()
    assert halve(bench.worker, of(does, 100)) == 199
    assert bench.letters.letters == {}


def test_the_suspicion_ends_when_most_records_are_handled_well() -> None:
    bench = Bench()
    worker = under_suspicion(bench)
    with pytest.raises(SystemicFailure):
        worker(event(made("bad", "raise:bug")))
    worker({"Records": of("stock:1", 11)})
    worker(event(made("bad", "raise:bug")))
    assert len(bench.letters.letters) == 1


def test_the_same_record_again_is_not_more_evidence() -> None:
    bench = Bench()
    worker = bench.worker
    bad = event(made("bad", "raise:bug"))
    for _ in range(30):
        worker(bad)
    assert len(bench.letters.letters) == 1


def test_a_batch_in_which_nothing_raises_passes_under_suspicion() -> None:
    bench = Bench()
    assert under_suspicion(bench)(event(made("good", "stock:1"))) == {"batchItemFailures": []}
    assert bench.did == ["1"]


@pytest.mark.parametrize("does", BUGS)
def test_few_records_that_raise_among_many_are_poison(does: str) -> None:
    bench = Bench()
    worker = bench.worker
    for start in range(0, 1000, 100):
        worker({"Records": [*of(does, 5, first=start), *of("stock:1", 20, first=start)]})
    assert len(bench.letters.letters) == 50


def test_records_refused_on_purpose_are_no_evidence_however_many() -> None:
    bench = Bench()
    assert deliver(bench.worker, of("invalid:no lines", 100), 10) == 0
    assert len(bench.letters.letters) == 100


@pytest.mark.parametrize("expected", [MissingAttribute, KeyError])
def test_a_missing_attribute_that_is_named_as_a_bad_record_is_one_however_many(expected: type[Exception]) -> None:
    letters = MemoryDeadLetters()
    worker = Worker(journal=MemoryJournal(), dead_letters=letters, clock=FakeClock(), bad_record=[expected])

    @worker.on_insert()
    def read(change: Change) -> object:
        return change.new["statsu"]

    assert deliver(worker, of("stock:1", 100), 10) == 0
    assert len(letters.letters) == 100


def test_the_failure_names_the_handler_and_the_line_and_no_attribute() -> None:
    told = r"nothing was stored: MissingAttribute in tests\..*\.act \(kit\.py, line \d+, in act\)$"
    with pytest.raises(SystemicFailure, match=told):
        Bench().worker({"Records": of("read:statsu", 10)})
