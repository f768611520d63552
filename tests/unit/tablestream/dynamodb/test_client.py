"""A client that is made when it is first used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tablestream.dynamodb.client import LazyClient


def test_a_client_is_made_once_at_its_first_use_and_asked_directly_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[SimpleNamespace] = []

    def make() -> SimpleNamespace:
        made.append(SimpleNamespace(publish=lambda: len(made)))
        return made[-1]

    client = LazyClient(make)
    assert made == []
    assert client.publish is made[0].publish
    monkeypatch.setattr(LazyClient, "start", lambda _: pytest.fail("asked again"))
    assert client.publish is made[0].publish


def test_a_client_has_nothing_that_is_not_the_made_ones() -> None:
    with pytest.raises(AttributeError, match="publish"):
        _ = LazyClient(SimpleNamespace).publish
