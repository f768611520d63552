"""Leads: messages of people who are no users yet."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from boto3.dynamodb.conditions import Attr, Key

from shop.keys import lead_key
from shop.stores.entity import BY_EMAIL, BY_STATUS, Makers, Plain
from tablestream.dynamodb import Page, Table

KIND = "Lead"


class LeadStatus(StrEnum):
    """The states of a lead. No order has one of these words: both are found by one index."""

    NEW = "new"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    CONVERTED = "converted"


class LeadStore:
    """The access patterns of leads."""

    def __init__(self, table: Table, makers: Makers) -> None:
        """Take the shop's table, and what makes times and ids."""
        self._table = table
        self._makers = makers

    def create(self, lead: Mapping[str, Any]) -> Plain:
        """Write a new lead and return the item."""
        lead_id = self._makers.ulid()
        attributes = {"leadId": lead_id, "status": LeadStatus.NEW.value, **lead}
        item = self._makers.entity(KIND, lead_key(lead_id), attributes)
        self._table.put(item, if_absent=True)
        return item

    def get(self, lead_id: str) -> Plain | None:
        """Return a lead; None where there is no such lead."""
        return self._table.get(lead_key(lead_id))

    def update(self, lead_id: str, changes: Mapping[str, Any]) -> Plain:
        """Change attributes of a lead, of which None removes one; return the item. Raises `NotFound`."""
        return self._table.update(lead_key(lead_id), **self._makers.changing(changes)._asdict())

    def delete(self, lead_id: str) -> Plain:
        """Remove a lead and return it as it was; raises `NotFound`."""
        return self._table.delete(lead_key(lead_id), must_exist=True) or {}

    def with_email(self, email: str, *, limit: int, cursor: str | None) -> Page:
        """Return a page of the leads with an address, the newest first; a user may have it as well."""
        return self._table.query(
            Key("email").eq(email),
            index=BY_EMAIL,
            filter=Attr("entityType").eq(KIND),
            limit=limit,
            cursor=cursor,
            newest_first=True,
        )

    def with_status(self, status: LeadStatus, *, limit: int, cursor: str | None) -> Page:
        """Return a page of the leads with a status, the newest first."""
        wanted = Key("status").eq(status.value)
        return self._table.query(wanted, index=BY_STATUS, limit=limit, cursor=cursor, newest_first=True)
