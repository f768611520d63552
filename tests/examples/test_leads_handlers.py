"""The handlers of the leads: plain functions, so a test needs nothing around them."""

from __future__ import annotations

from examples.leads.handlers import Message, created, moved
from tablestream import Change
from tablestream.testing import inserted, modified

LEAD = {"id": "1", "name": "Ann", "owner": "bob"}


def test_a_new_lead_is_told() -> None:
    change = Change.from_record(inserted(LEAD, keys=("id",)))
    assert created(change) == Message("New: Ann")


def test_a_new_owner_is_told() -> None:
    change = Change.from_record(modified(LEAD, {**LEAD, "owner": "eve"}, keys=("id",)))
    assert moved(change) == Message("Ann goes from bob to eve")
