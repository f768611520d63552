"""The table of `redrive list`."""

from __future__ import annotations

import pytest

from tablestream.ops.listing import COLUMNS
from tablestream.ops.terminal import laid_out

ROWS = [
    ("worker", "InvalidRecord", "shop.handlers.inventory.order_placed", 12, 12, "12 Order", "40 s", "3 s", 0),
    ("Lambda", "RetryAttemptsExhausted", "-", 103, 10_300, "9000 Order, 1300 Lead", "21 h", "20 h", 3),
]


def test_it_fits_80_columns_with_the_reason_whole() -> None:
    lines, without = laid_out(COLUMNS, ROWS, 80)
    assert max(map(len, lines)) <= 80
    assert len(lines) == 2 + len(ROWS)
    assert "RetryAttemptsExhausted" in lines[-1]
    assert {"reason", "records", "entities", "oldest"}.isdisjoint(without)


@pytest.mark.parametrize(("width", "without"), [(100, ["handler"]), (140, [])])
def test_a_wider_terminal_shows_more(width: int, without: list[str]) -> None:
    assert laid_out(COLUMNS, ROWS, width)[1] == without
