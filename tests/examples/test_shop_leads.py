"""The entity that docs/extending.md adds to the shop."""

from __future__ import annotations

import json

from examples import shop_leads
from examples.shop_leads import lead_created
from shop.handlers import router
from tablestream import Change, Worker
from tablestream.sinks import Message
from tablestream.testing import FakeContext, MemoryDeadLetters, MemoryJournal, RecordingSink, event, inserted

LEAD = {"pk": "LEAD#1", "sk": "LEAD#1", "entityType": "Lead", "leadId": "1"}


def test_a_new_lead_is_announced() -> None:
    message = lead_created(Change.from_record(inserted(LEAD)))
    assert json.loads(message.text)["leadId"] == "1"
    assert message.attributes == {"type": "lead.created", "entity": "Lead"}


def test_its_route_stands_beside_those_of_the_orders() -> None:
    sink = RecordingSink((Message,))
    worker = Worker(sinks=[sink], journal=MemoryJournal(), dead_letters=MemoryDeadLetters())
    worker.include(router)
    worker.include(shop_leads.router)
    worker(event(inserted(LEAD)), FakeContext())
    (told,) = sink.done
    assert json.loads(told.body)["leadId"] == "1"
