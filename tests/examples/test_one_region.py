"""A change of a global table is told once, whichever region's stream it comes from."""

from __future__ import annotations

import pytest

from examples.one_region import Notice, router
from tablestream import Worker
from tablestream.testing import RecordingSink, modified

ACCOUNT = {"pk": "ACCOUNT#1", "sk": "A", "email": "ann@example.com", "plan": "free", "writtenIn": "us-east-1"}


@pytest.mark.parametrize(("region", "told"), [("us-east-1", [Notice("ann@example.com", "paid")]), ("eu-central-1", [])])
def test_of_two_regions_that_see_a_change_one_tells_of_it(region: str, told: list[Notice]) -> None:
    worker = Worker(sinks=[RecordingSink((Notice,))])
    worker.include(router)
    change = {**modified(ACCOUNT, ACCOUNT | {"plan": "paid"}), "awsRegion": region}
    assert worker.tested().send(change).effects == told
