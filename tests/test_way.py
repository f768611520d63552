"""A reader who follows one record opens few files, and is seldom sent back to one: see `tools/way.py`."""

from __future__ import annotations

import pytest

from tests.support.shop_app import shop_app
from tools import way

MOST = {"order": (25, 100), "status": (16, 56), "poison": (15, 39), "plain_table": (13, 43)}
"""Files and stays of each way."""


@pytest.mark.parametrize("name", way.WAYS)
def test_a_record_passes_few_files_and_seldom_comes_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop_app(monkeypatch) as app:
        stays = way.WAYS[name](app).stays
    files, times = MOST[name]
    assert len(set(stays)) <= files
    assert len(stays) <= times


def test_a_way_is_that_of_a_record_which_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    with shop_app(monkeypatch) as app:
        way.order(app)
        assert app.ledger() == {"o-1": "RESERVED", "o-2": "RESERVED"}
        way.poison(app)
        assert len(app.letters()) == 2
