"""Leads and reviews: what people send by a form, and what users say about a product."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from boto3.dynamodb.conditions import Attr, Key

from shop.keys import REVIEWS, lead_key, review_key, user_key, user_partition
from shop.stores.entity import BY_EMAIL, BY_STATUS, Makers, Plain
from tablestream.dynamodb import Check, NotFound, Page, Put, Table, TransactionCancelled

LEAD, REVIEW = "Lead", "Review"


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
        item = self._makers.entity(LEAD, lead_key(lead_id), attributes)
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
            filter=Attr("entityType").eq(LEAD),
            limit=limit,
            cursor=cursor,
            newest_first=True,
        )

    def with_status(self, status: LeadStatus, *, limit: int, cursor: str | None) -> Page:
        """Return a page of the leads with a status, the newest first."""
        wanted = Key("status").eq(status.value)
        return self._table.query(wanted, index=BY_STATUS, limit=limit, cursor=cursor, newest_first=True)


class ReviewStore:
    """The access patterns of reviews: they lie with their author's item."""

    def __init__(self, table: Table, makers: Makers) -> None:
        """Take the shop's table, and what makes times and ids."""
        self._table = table
        self._makers = makers

    def write(self, user_id: str, review: Mapping[str, Any]) -> Plain:
        """Write a new review of a user that there is, in one transaction; return the item. Raises `NotFound`."""
        review_id = self._makers.ulid()
        attributes = {"reviewId": review_id, "userId": user_id, **review}
        item = self._makers.entity(REVIEW, review_key(user_id, review_id), attributes)
        try:
            self._table.transact_write([Check(user_key(user_id)), Put(item, if_absent=True)])
        except TransactionCancelled as cancelled:
            raise cancelled.reasons[0] or cancelled from None
        return item

    def of_user(self, user_id: str, *, limit: int, cursor: str | None) -> Page:
        """Return a page of a user's reviews, the newest first.

        Raises `NotFound` where there are none at all, and no such user: that alone takes a second call.
        """
        page = self._table.query(
            Key("pk").eq(user_partition(user_id)) & Key("sk").begins_with(REVIEWS),
            limit=limit,
            cursor=cursor,
            newest_first=True,
        )
        if not page.items and cursor is None and self._table.get(user_key(user_id)) is None:
            raise NotFound("there is no such user")
        return page
