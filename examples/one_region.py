"""Accounts in a global table: a customer gets one notice, from the region where the plan was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from tablestream import Change, Router

router = Router()


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to a customer."""

    address: str
    plan: str


@router.on_modify(changed=["plan"])
def plan_changed(change: Change) -> Notice | None:
    """Tell of a new plan, in the region where it was chosen."""
    if change.new["writtenIn"] != change.region:
        return None
    return Notice(change.new["email"], change.new["plan"])
