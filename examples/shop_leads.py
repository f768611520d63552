"""What changes of leads are worth telling."""

from __future__ import annotations

from shop.announcements import announce
from shop.effects import Message
from tablestream import Change, Router

router = Router()


@router.on_insert("Lead")
def lead_created(change: Change) -> Message:
    """Announce a new lead."""
    return announce(change, "lead.created", "Lead", {"leadId": change.new["leadId"]})
