"""A notification about something else than an order."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from shop.effects import Facts, Notification
from shop.messages import compose
from shop.notifications import SnsSink
from tablestream import Change, Permanent, Run
from tablestream.testing import Raw, effects, inserted

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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Raw({"N": "10"}), "10"),
        (Raw({"N": "10.0"}), "10.0"),
        (Raw({"N": "1E+1"}), "10"),
        (Raw({"N": "-10.50"}), "-10.50"),
        (Raw({"N": "1E-7"}), "0.0000001"),
        (Raw({"N": "9007199254740993"}), "9007199254740993"),
        ("text", "text"),
        (True, True),
        (Raw({"NULL": True}), None),
        (b"\x00\xff", "AP8="),
        ({"b", "a"}, ["a", "b"]),
        ({10, 9}, ["9", "10"]),
        ({b"b", b"a"}, ["YQ==", "Yg=="]),
        ([1, {"units": 2, "tags": {"x"}}], ["1", {"units": "2", "tags": ["x"]}]),
    ],
)
def test_each_type_of_dynamodb_has_one_form_in_a_message(value: Any, said: Any) -> None:
    change = Change.from_record(inserted({**LEAD, "value": value}))
    body = json.loads(
        compose(Notification("lead.created", change, Facts("Lead", {"value": change.image["value"]}))).body
    )
    assert body["value"] == said
    assert type(body["value"]) is type(said)


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
