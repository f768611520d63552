"""A notification about something else than an order."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from shop.effects import Facts, Notification
from shop.messages import compose
from shop.notifications import SnsSink
from tablestream import Change, Permanent, Run
from tablestream.testing import effects, inserted

LEAD = {"pk": "LEAD#1", "sk": "LEAD#1", "entityType": "Lead", "leadId": "1", "budget": Decimal("10.50")}


def test_facts_about_an_entity_become_a_message_with_its_type() -> None:
    change = Change.from_record(inserted(LEAD))
    message = compose(Notification("lead.created", change, Facts("Lead", {"leadId": change.image["leadId"]})))
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
    body = json.loads(compose(Notification("lead.created", change, Facts("Lead", said))).body)
    assert (body["budget"], body["photo"], body["tags"]) == ("10.50", "AP8=", ["a", "b"])


def test_what_json_cannot_hold_is_a_dead_letter_not_an_endless_retry() -> None:
    change = Change.from_record(inserted(LEAD))
    notification = Notification("lead.created", change, Facts("Lead", {"change": change}))
    client: Any = Unreachable()
    sink = SnsSink(client, "arn:aws:sns:us-east-1:123456789012:topic")
    assert sink.apply(effects(notification), Run()) == [Permanent("a message cannot carry a Change")]


def test_what_json_cannot_hold_as_a_name_is_a_dead_letter_too() -> None:
    said: Any = {("lead", 1): "1"}
    notification = Notification("lead.created", Change.from_record(inserted(LEAD)), Facts("Lead", said))
    client: Any = Unreachable()
    (answer,) = SnsSink(client, "arn:aws:sns:us-east-1:123456789012:topic").apply(effects(notification), Run())
    assert isinstance(answer, Permanent)
    assert "keys must be str" in answer.reason


class Unreachable:
    """A client that must not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called")
