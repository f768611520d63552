"""The entity that docs/extending.md adds to the shop."""

from __future__ import annotations

import json

from examples.shop_leads import lead_created
from shop.effects import Facts, Notification
from shop.handlers import routes
from shop.messages import compose
from tablestream import Change, Worker
from tablestream.testing import FakeContext, MemoryDeadLetters, MemoryJournal, RecordingSink, event, inserted

LEAD = {"pk": "LEAD#1", "sk": "LEAD#1", "entityType": "Lead", "leadId": "1"}


def test_a_new_lead_is_announced() -> None:
    change = Change.from_record(inserted(LEAD))
    assert lead_created(change) == Notification("lead.created", change, Facts("Lead", {"leadId": "1"}))


def test_its_route_stands_beside_those_of_the_orders() -> None:
    router = routes()
    router.on_insert("Lead")(lead_created)
    sink = RecordingSink((Notification,))
    worker = Worker(sinks=[sink], journal=MemoryJournal(), dead_letters=MemoryDeadLetters())
    worker.include(router)
    worker(event(inserted(LEAD)), FakeContext())
    (told,) = sink.done
    assert json.loads(compose(told).body)["leadId"] == "1"
