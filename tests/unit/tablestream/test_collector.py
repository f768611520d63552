"""The collector lets a batch pass and still collects."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from tablestream.collector import spare_batches

CONTAINERS = 50_000


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def test_a_large_batch_is_not_looked_through() -> None:
    spare_batches(CONTAINERS)
    gc.collect()  # what other tests have made since the last collection counts as well
    before = collections()
    batch: list[object] = [{} for _ in range(CONTAINERS // 2)]
    assert (len(batch), collections()) == (CONTAINERS // 2, before)


def test_cycles_are_still_collected_in_the_end() -> None:
    class Node:
        """Refers to itself."""

        def __init__(self) -> None:
            self.me = self

    spare_batches(CONTAINERS)
    lost = weakref.ref(Node())
    # Twice as many: what other tests have left is freed meanwhile, and each that is freed counts against one made.
    kept: list[object] = [[] for _ in range(2 * CONTAINERS)]
    assert (lost(), len(kept)) == (None, 2 * CONTAINERS)
