"""What changes of leads are worth telling."""

from __future__ import annotations

from shop.effects import Facts, Notification
from tablestream import Change


def lead_created(change: Change) -> Notification:
    """Announce a new lead."""
    return Notification("lead.created", change, Facts("Lead", {"leadId": change.new["leadId"]}))
