"""The table of docs/dynamodb.md: a client, a table and the first note, as somebody begins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from examples.notes_table import main
from tablestream.dynamodb import connect


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")


@mock_aws
def test_the_first_note(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    assert capsys.readouterr().out == "first\n"


def test_a_client_tries_nothing_twice_and_ends_a_call_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    made: Any = connect(seconds=2)
    config = made.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert timedelta(seconds=config.connect_timeout + config.read_timeout) == timedelta(seconds=2)
    assert made.meta.region_name == "eu-west-1"
    assert connect(region="eu-central-1", endpoint="http://127.0.0.1:8000").meta.endpoint_url == "http://127.0.0.1:8000"
