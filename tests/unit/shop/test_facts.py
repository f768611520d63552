"""A notification about something else than an order."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from shop.effects import Facts, Notification
from shop.messages import compose
from tablestream import Change
from tablestream.testing import inserted

LEAD = {"pk": "LEAD#1", "sk": "LEAD#1", "entityType": "Lead", "leadId": "1", "budget": Decimal("10.50")}


def test_facts_about_an_entity_become_a_message_with_its_type() -> None:
    change = Change.from_record(inserted(LEAD))
    message = compose(Notification.of(change, "lead.created", Facts("Lead", {"leadId": change.image["leadId"]})))
    assert json.loads(message.body) == {
        "type": "lead.created",
        "eventId": change.event_id,
        "sequenceNumber": change.sequence_number,
        "leadId": "1",
    }
    assert message.attributes == {"type": "lead.created", "entity": "Lead"}


def test_values_of_an_image_can_be_said_as_they_are() -> None:
    said = {"budget": Decimal("10.50"), "photo": b"\x00\xff", "tags": frozenset({"b", "a"})}
    change = Change.from_record(inserted(LEAD))
    body = json.loads(compose(Notification.of(change, "lead.created", Facts("Lead", said))).body)
    assert (body["budget"], body["photo"], body["tags"]) == ("10.50", "AP8=", ["a", "b"])


def test_what_json_cannot_hold_is_refused_by_its_type() -> None:
    change = Change.from_record(inserted(LEAD))
    with pytest.raises(TypeError, match="cannot carry a Change"):
        compose(Notification.of(change, "lead.created", Facts("Lead", {"change": change})))
