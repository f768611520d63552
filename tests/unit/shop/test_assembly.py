"""Clients: which are made when, and that one made late is the same to its user."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shop.assembly import MadeWhenUsed


def test_a_client_is_made_at_its_first_use_and_once() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("client")
        return "client"

    late = MadeWhenUsed(make)
    assert made == []
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: late.upper(), range(50))) == {"CLIENT"}  # type: ignore[operator]  # stands for anything
    assert made == ["client"]


def test_what_could_not_be_made_is_tried_again() -> None:
    answers = iter([ValueError("not now"), "client"])

    def make() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    late = MadeWhenUsed(make)
    with pytest.raises(ValueError, match="not now"):
        late.upper()  # type: ignore[operator]  # stands for anything
    assert late.upper() == "CLIENT"  # type: ignore[operator]  # likewise
