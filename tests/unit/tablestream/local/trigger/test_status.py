"""The state of shards, as it is shown: ages count from the write, to a fraction of a second where that is known."""

from __future__ import annotations

import pytest

from tablestream.local.delivery.protocol import Invoked
from tablestream.local.trigger.observations import DeliveryStep, Read
from tablestream.local.trigger.status import Status

SECOND = 1000.0
WRITTEN = SECOND + 0.75


@pytest.mark.parametrize(
    ("told", "lag"), [({"1": WRITTEN, "2": WRITTEN + 1}, 0.5), ({"2": WRITTEN + 1}, 1.2), ({}, 1.2)]
)
def test_the_age_of_the_oldest_record_counts_from_its_write(told: dict[str, float], lag: float) -> None:
    status = Status()
    status.follow(Read("M", "shard", told))
    for attempt in (0, 1):
        step = Invoked(0, 7 + attempt, 2, attempt, "1", "2", oldest=SECOND, at=WRITTEN)
        status.follow(DeliveryStep("M", "shard", step))
        (shard,) = status.told(WRITTEN + 0.5)
        assert shard["lag"] == lag
