"""Reviews: what users say about a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import Key

from shop.keys import REVIEWS, review_key, user_key, user_partition
from shop.stores.entity import Makers, Plain
from tablestream.dynamodb import Check, NotFound, Page, Put, Table, TransactionCancelled

KIND = "Review"


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
        item = self._makers.entity(KIND, review_key(user_id, review_id), attributes)
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
