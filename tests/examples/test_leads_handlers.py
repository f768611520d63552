"""The handlers of the leads: plain functions, so a test needs nothing around them."""

from __future__ import annotations

from examples.leads.handlers import created, worker
from tablestream import Change
from tablestream.sinks import Message
from tablestream.testing import inserted, modified

LEAD = {"id": "1", "name": "Ann", "owner": "bob"}


def test_a_new_lead_is_told() -> None:
    change = Change.from_record(inserted(LEAD, keys=("id",)))
    assert created(change) == Message("New: Ann")


def test_changes_of_a_lead_are_told_in_order_and_a_lead_without_a_name_is_set_aside() -> None:
    sent = worker.tested().send(
        inserted(LEAD, keys=("id",), table="leads"),
        inserted({"id": "2", "owner": "bob"}, keys=("id",), table="leads"),
        modified(LEAD, {**LEAD, "owner": "eve"}, keys=("id",), table="leads"),
    )
    assert sent.effects == [Message("New: Ann"), Message("Ann goes from bob to eve")]
    assert [letter.reason for letter in sent.dead_letters] == ["name: wanted a value, got none"]
