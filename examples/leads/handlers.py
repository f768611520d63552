"""What changes of leads lead to."""

from __future__ import annotations

from dataclasses import dataclass

from tablestream import Change, Router

router = Router()


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the sales team."""

    text: str


@router.on_insert()
def created(change: Change) -> Message:
    """Tell of a new lead."""
    return Message(f"New: {change.new['name']}")


@router.on_modify(changed=["owner"])
def moved(change: Change) -> Message:
    """Tell whose lead it is now."""
    return Message(f"{change.new['name']} goes from {change.old['owner']} to {change.new['owner']}")
