"""Sessions: one that has run out counts as gone, though Time to Live may take two days to remove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import Attr

from shop.keys import session_key
from shop.stores.entity import Makers, Plain
from tablestream.dynamodb import ConditionFailed, NotFound, Table

KIND = "Session"
SESSION_SECONDS = 24 * 3600
"""A new session lasts so long."""


class SessionStore:
    """The access patterns of sessions."""

    def __init__(self, table: Table, makers: Makers) -> None:
        """Take the shop's table, and what makes times and ids."""
        self._table = table
        self._makers = makers

    def open(self, user_id: str, data: Mapping[str, Any] | None) -> Plain:
        """Write a new session under an id that nobody can guess; return the item."""
        session_id = self._makers.secret()
        attributes = {"sessionId": session_id, "userId": user_id, "data": data, **self._lasting(SESSION_SECONDS)}
        item = self._makers.entity(KIND, session_key(session_id), attributes)
        self._table.put(item, if_absent=True)
        return item

    def get(self, session_id: str) -> Plain | None:
        """Return a session, read consistently: it is used right after it was opened. None where it has run out."""
        item = self._table.get(session_key(session_id), consistent=True)
        return item if item is not None and item["expiresAt"] > self._makers.now() else None

    def extend(self, session_id: str, seconds: int) -> Plain:
        """Let a session run out so many seconds from now; return the item. Raises `NotFound`, also when it ran out."""
        changing = self._makers.changing(self._lasting(seconds))
        try:
            return self._table.update(session_key(session_id), **changing._asdict(), condition=self._runs())
        except ConditionFailed:
            raise NotFound(_GONE) from None

    def close(self, session_id: str) -> Plain:
        """Remove a session and return it as it was; raises `NotFound`, also when it has run out."""
        try:
            closed = self._table.delete(session_key(session_id), condition=self._runs(), must_exist=True)
        except ConditionFailed:
            raise NotFound(_GONE) from None
        return closed or {}

    def _lasting(self, seconds: int) -> dict[str, int]:
        end = self._makers.seconds_after(seconds)
        return {"expiresAt": end, "ttl": end}

    def _runs(self) -> Any:
        return Attr("expiresAt").gt(int(self._makers.now()))


_GONE = "there is no such session, or it has run out"
