"""The collector lets a batch pass and still collects; a batch leaves it nothing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tablestream import Sequential
from tablestream.aws import quiet_collector
from tablestream.sink import DONE, Answer, Transient
from tests.unit.tablestream.kit import Bench, made, refusing

CONTAINERS = 50_000


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    gc.freeze()  # what other tests have left: looking through it takes a second
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def test_a_large_batch_is_not_looked_through() -> None:
    quiet_collector(CONTAINERS)
    gc.collect()  # what other tests have made since the last collection counts as well
    before = collections()
    batch: list[object] = [{} for _ in range(CONTAINERS // 2)]
    assert (len(batch), collections()) == (CONTAINERS // 2, before)


def test_cycles_are_still_collected_in_the_end() -> None:
    class Node:
        """Refers to itself."""

        def __init__(self) -> None:
            self.me = self

    quiet_collector(CONTAINERS)
    lost = weakref.ref(Node())
    # Twice as many: what other tests have left is freed meanwhile, and each that is freed counts against one made.
    kept: list[object] = [[] for _ in range(2 * CONTAINERS)]
    assert (lost(), len(kept)) == (None, 2 * CONTAINERS)


def mail(effect: Any) -> Answer:
    if effect.what == "raise":
        raise ConnectionError("raised")
    return Transient(ConnectionError("throttled")) if effect.what == "later" else DONE


def garbage_of(count: int, *does: str) -> int:
    """Return how many objects are left to the collector by a batch in which each record does this."""
    bench = Bench()
    bench.mail.answer = mail
    bench.stock.answer = refusing("no")
    records = [made("first"), *[made(str(number), *does) for number in range(count)], made("last", "raise:bug")]
    bench.run(*records)  # what is made at the first time stays
    gc.collect()
    gc.disable()
    try:
        bench.run(*records)
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "does",
    [
        ("stock:1", "mail:1"),
        ("mail:1", "mail:2"),
        ("stock:1", "mail:later"),
        ("stock:1", "mail:raise"),
        ("invalid:no",),
        ("stock:no", "mail:1"),
    ],
    ids=["done", "several", "transient", "raised by the sink", "bad record", "permanent"],
)
def test_however_many_records_a_batch_has_none_is_left_to_the_collector(does: tuple[str, ...]) -> None:
    assert garbage_of(40, *does) - garbage_of(2, *does) < 38


def test_an_error_that_calls_side_by_side_raise_is_freed_with_them() -> None:
    def fail() -> None:
        raise KeyError("no")

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(KeyError) as raised:
            Sequential().run([fail, fail])
        del raised
        assert gc.collect() < 10
    finally:
        gc.enable()
