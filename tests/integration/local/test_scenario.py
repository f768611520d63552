"""The day that `make run` plays, with stand-ins for the shop and the trigger."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import Any, cast
from unittest.mock import MagicMock

from demo.day import Scenario, Watch
from tablestream.local.cloud.faults import Faults
from tablestream.local.delivery.protocol import Advanced, Split
from tablestream.local.trigger.observations import DeliveryStep

PARTIAL = DeliveryStep("mapping", "shard", Advanced(slot=0, invoke_id=1, done=1, left=4, resume_at="2", at=0.0))
HALVED = DeliveryStep("mapping", "shard", Split(slot=0, invoke_id=2, first_half=2, second_half=2, reason="", at=0.0))


def test_the_outage_lasts_until_the_journal_has_something_to_remember() -> None:
    watch, faults = Watch(), Faults(cast("Any", None))
    running = MagicMock(held=nullcontext)
    watch(PARTIAL)
    watch(HALVED)
    lasting: list[bool] = []

    def journalled() -> int:
        lasting.append(any(one.left < 0 for one in faults.active()))
        if len(lasting) < 3:
            threading.Thread(target=watch, args=[HALVED]).start()
        return max(0, len(lasting) - 2)

    Scenario(MagicMock(), MagicMock(), running, faults, watch, "inventory", journalled, lambda _line: None).play()
    assert lasting == [True, True, True]
    assert not any(one.left < 0 for one in faults.active())
