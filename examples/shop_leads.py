"""Leads: each new one is announced."""

from __future__ import annotations

from shop.handlers import announce
from tablestream import Change, Router
from tablestream.sinks import Message

router = Router()


@router.on_insert("Lead")
def lead_created(change: Change) -> Message:
    """Announce a new lead."""
    return announce(change, "lead.created", "Lead", {"leadId": change.new["leadId"]})
