"""The time that a hanging AWS may take fits into the margin before Lambda's timeout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shop.assembly import Clients
from shop.config import Config

CONFIG = Config("orders", "inventory", "journal", "arn:aws:sns:us-east-1:123456789012:topic", "failures")


def longest(client: Any) -> float:
    """Return the seconds after which a call without any answer ends."""
    config = client.meta.config
    assert config.retries["total_max_attempts"] == 1
    seconds: float = config.connect_timeout + config.read_timeout
    return seconds


@pytest.mark.parametrize("margin", [2.0, 5.0, 60.0])
def test_a_sink_and_then_the_journal_can_hang_and_the_answer_is_still_in_time(
    margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    clients = Clients.connect(replace(CONFIG, deadline_margin_seconds=margin))
    for sink in (clients.inventory, clients.topic, clients.failures):
        assert longest(sink) + longest(clients.journal) <= margin
