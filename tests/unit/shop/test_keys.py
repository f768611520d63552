"""Ids that sort by their time."""

from __future__ import annotations

import re

from shop.keys import ulid
from shop.stock.decisions import iso_time

NOW = 1_763_640_000.123


def test_a_ulid_is_its_milliseconds_and_its_random_bits() -> None:
    # The example of the specification's own readme has this time.
    assert ulid(1_469_918_176.385, 0) == "01ARYZ6S410000000000000000"
    assert ulid(0, 2**80 - 1) == "0000000000ZZZZZZZZZZZZZZZZ"
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", ulid(NOW, 2**79))


def test_ulids_sort_by_time() -> None:
    ids = [ulid(NOW + step / 100, random) for step, random in enumerate([2**80 - 1, 0, 5, 2**79])]
    assert sorted(ids) == ids


def test_the_milliseconds_of_a_ulid_are_those_of_the_time_in_its_item() -> None:
    times = [(1_763_640_000_000 + step) / 1000 for step in range(1000)]
    assert [int(iso_time(time)[-4:-1]) for time in times] == list(range(1000))
    assert len({ulid(time, 0) for time in times}) == 1000
