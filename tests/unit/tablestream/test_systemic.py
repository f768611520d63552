"""A broken deployment parks nothing, however small Lambda cuts the batch; a few bad records are parked as ever."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tablestream import SystemicFailure, Worker
from tablestream.systemic import Suspicion
from tablestream.testing import Record, event
from tests.unit.tablestream.kit import Bench, made


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


def suspicious(bench: Bench) -> Worker:
    worker = bench.worker
    with pytest.raises(SystemicFailure):
        worker(event(*[made(str(number), "raise:bug") for number in range(10)]))
    return worker


def test_halving_the_batch_of_a_broken_deployment_parks_no_record() -> None:
    bench = Bench()
    records = event(*[made(str(number), "raise:bug") for number in range(100)])["Records"]
    assert halve(bench.worker, records) == 199
    assert bench.letters.letters == {}


def test_the_suspicion_ends_when_most_records_are_handled_well() -> None:
    bench = Bench()
    worker = suspicious(bench)
    with pytest.raises(SystemicFailure):
        worker(event(made("bad", "raise:bug")))
    worker(event(*[made(f"good {number}", "stock:1") for number in range(11)]))
    worker(event(made("bad", "raise:bug")))
    assert len(bench.letters.letters) == 1


def test_the_same_record_again_is_not_more_evidence() -> None:
    suspicion = Suspicion()
    with pytest.raises(SystemicFailure, match="6 of 11"):
        suspicion.judge({f"bad {number}": "here" for number in range(6)}, [f"good {number}" for number in range(5)])
    with pytest.raises(SystemicFailure, match="6 of 11"):
        suspicion.judge({"bad 0": "here"}, [])
    suspicion.judge({"bad 0": "here"}, ["good 5"])
    assert not suspicion.lasts


def test_a_batch_in_which_nothing_raises_passes_under_suspicion() -> None:
    bench = Bench()
    assert suspicious(bench)(event(made("good", "stock:1"))) == {"batchItemFailures": []}
    assert bench.did == ["1"]


def test_few_records_that_raise_are_poison_when_nothing_was_suspected() -> None:
    bench = Bench()
    bench.run(*[made(str(number), "raise:bug") for number in range(9)])
    assert len(bench.letters.letters) == 9


def test_a_suspicion_remembers_a_bounded_number_of_records() -> None:
    suspicion = Suspicion()
    for start in range(0, 3000, 100):
        with pytest.raises(SystemicFailure):
            suspicion.judge({str(number): "here" for number in range(start, start + 100)}, [])
    with pytest.raises(SystemicFailure, match="1001 of 1001"):
        suspicion.judge({"one more": "here"}, [])
