"""A change of a global table is told once, whichever region's stream it comes from."""

from __future__ import annotations

from examples.one_region import Notice, router
from tablestream import Worker
from tablestream.testing import FakeContext, MemoryDeadLetters, MemoryJournal, RecordingSink, event, modified


def test_of_two_regions_that_see_a_change_one_tells_of_it() -> None:
    sink = RecordingSink((Notice,))
    worker = Worker(sinks=[sink], journal=MemoryJournal(), dead_letters=MemoryDeadLetters())
    worker.include(router)
    account = {"pk": "ACCOUNT#1", "sk": "A", "email": "ann@example.com", "plan": "free", "writtenIn": "us-east-1"}
    change = modified(account, account | {"plan": "paid"})
    for region in ("us-east-1", "eu-central-1"):
        worker(event({**change, "awsRegion": region}), FakeContext())
    assert sink.done == [Notice("ann@example.com", "paid")]
