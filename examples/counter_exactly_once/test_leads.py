"""The leads' handlers and the whole worker, without AWS: `python -m pytest`."""

from leads import created, worker

from tablestream import Change
from tablestream.sinks import Increment, Message
from tablestream.testing import inserted, modified

LEAD = {"id": "1", "email": "ann@example.com", "status": "new"}
NEW = inserted(LEAD, keys=("id",), table="leads")
WON = modified(LEAD, {**LEAD, "status": "won"}, keys=("id",), table="leads")
TOLD = Message({"lead": "1", "email": "ann@example.com"})


def test_a_new_lead_is_counted_and_told() -> None:
    """A handler is a function: it returns the effects."""
    assert created(Change.from_record(NEW)) == [Increment({"pk": "new"}, leads=1), TOLD]


def test_a_lead_that_is_won_counts_as_won_and_one_without_a_status_is_set_aside() -> None:
    """The worker runs on stand-ins for its sinks, its journal and its dead letters."""
    sent = worker.tested().send(NEW, inserted({"id": "2"}, keys=("id",), table="leads"), WON)
    assert sent.effects == [
        Increment({"pk": "new"}, leads=1),
        TOLD,
        Increment({"pk": "new"}, leads=-1),
        Increment({"pk": "won"}, leads=1),
    ]
    assert [letter.reason for letter in sent.dead_letters] == ["status: wanted a value, got none; the item has id"]
