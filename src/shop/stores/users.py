"""Users: each has an address of its own, which a second item claims, and is forgotten a year after the last change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from boto3.dynamodb.conditions import Attr, Key

from shop.keys import ORDERS, claim_key, user_key
from shop.stores.entity import BY_EMAIL, AlreadyTaken, Changing, Makers, Plain
from tablestream.dynamodb import (
    AlreadyExists,
    ConditionFailed,
    Conflict,
    Delete,
    ItemStore,
    NotFound,
    Page,
    Put,
    RaceCondition,
    Table,
    TransactionCancelled,
    Update,
    VersionConflict,
)

KIND = "User"
USER_SECONDS = 365 * 24 * 3600
"""A user who is not changed for so long is removed by Time to Live."""
_TRIES = 3
_BUSY = "the user changes all the time"
_GONE = "there is no such user"


class UserStore:
    """The access patterns of users and of the addresses that they claim."""

    def __init__(self, table: Table, makers: Makers) -> None:
        """Take the shop's table, and what makes times and ids."""
        self._table = table
        self._makers = makers
        self._locked = ItemStore(table, lock_attributes={"entityType": "Lock"})

    def create(self, user: Mapping[str, Any]) -> Plain:
        """Write a new user and the claim of the address, in one transaction; return the item.

        Raises `AlreadyTaken` for an id or an address that somebody has. A claim whose user Time to Live has removed
        holds nobody up.
        """
        user_id = user.get("userId") or self._makers.ulid()
        attributes = {**user, "userId": user_id, "viewCount": 0, "ttl": self._expiry()}
        item = self._makers.entity(KIND, user_key(user_id), attributes)
        try:
            self._write_with_claim(Put(item, if_absent=True), user_id, user["email"])
        except TransactionCancelled as cancelled:
            raise AlreadyTaken("userId") if isinstance(cancelled.reasons[0], AlreadyExists) else cancelled from None
        return item

    def get(self, user_id: str, *, consistent: bool = False, fields: Sequence[str] = ()) -> Plain | None:
        """Return a user, or some attributes of it; None where there is no such user."""
        return self._table.get(user_key(user_id), consistent=consistent, fields=fields)

    def get_with_orders(
        self, user_id: str, orders: int, *, consistent: bool = False
    ) -> tuple[Plain, list[Plain]] | None:
        """Return a user and the newest orders with one query, for the user's item follows upon the orders."""
        key = user_key(user_id)
        page = self._table.query(
            Key("pk").eq(key["pk"]) & Key("sk").between(ORDERS, key["sk"]),
            newest_first=True,
            limit=orders + 1,
            consistent=consistent,
        )
        if not page.items or page.items[0]["sk"] != key["sk"]:
            return None
        return page.items[0], page.items[1:]

    def find(self, email: str, *, limit: int, cursor: str | None) -> Page:
        """Return a page of the users with an address: there is one, or none."""
        return self._table.query(
            Key("email").eq(email),
            index=BY_EMAIL,
            filter=Attr("entityType").eq(KIND),
            limit=limit,
            cursor=cursor,
            newest_first=True,
        )

    def get_many(self, user_ids: Sequence[str], *, fields: Sequence[str] = ()) -> dict[str, Plain | None]:
        """Return users by their ids, in the order of these, None for those that there are not."""
        got = self._table.batch_get([user_key(user_id) for user_id in user_ids], fields=fields)
        by_id = {item["userId"]: item for item in got.items}
        return {user_id: by_id.get(user_id) for user_id in user_ids}

    def update(self, user_id: str, changes: Mapping[str, Any], version: int | None) -> Plain:
        """Change attributes of a user, of which None removes one; return the item as it is then.

        Raises `NotFound`, `VersionConflict` with the item as it is, and `AlreadyTaken` for another's address.
        """
        if "email" in changes:
            return self._update_with_email(user_id, changes, version)
        return self._table.update(user_key(user_id), **self._changing(changes)._asdict(), version=version)

    def change_settings(self, user_id: str, settings: Mapping[str, Any]) -> Plain:
        """Give a user other settings under the user's lock, with two calls; return the item as it is then.

        Lock and user are read as they are at one moment, and both must be so still when they are written. Raises
        `RaceCondition` where somebody else was there in between, and `NotFound`.
        """
        key = user_key(user_id)
        held = self._locked.read(key)
        (user,) = held.items
        if user is None:
            raise NotFound(_GONE)
        changing = self._changing({"settings": settings})
        try:
            self._locked.set_atomic(held.lock, Update(key, **changing._asdict(), version=user["version"]))
        except TransactionCancelled as cancelled:
            if _has_changed(cancelled):
                raise RaceCondition(_BUSY) from None
            raise next(filter(None, cancelled.reasons), cancelled) from None
        return changing.applied_to(user)

    def delete(self, user_id: str, email: str | None) -> Plain:
        """Remove a user and the claim of the address; return the item as it was.

        Raises `NotFound`, and `ConditionFailed` where the user has another address than the one that is given.
        """
        for _ in range(_TRIES):
            user = self._current(user_id)
            if email is not None and user["email"] != email:
                raise ConditionFailed("the user has another address", user)
            try:
                self._table.transact_write([Delete(user_key(user_id), version=user["version"]), self._release(user)])
            except TransactionCancelled as cancelled:
                if not _has_changed(cancelled):
                    raise
            else:
                return user
        raise Conflict(_BUSY)

    def count_view(self, user_id: str) -> int:
        """Count a view of a user and return how many there are; a view is no change of the user."""
        changed = self._table.update(user_key(user_id), add={"viewCount": 1})
        return int(changed["viewCount"])

    # --- several items -----------------------------------------------------------------------------------------------

    def _update_with_email(self, user_id: str, changes: Mapping[str, Any], version: int | None) -> Plain:
        """Change a user whose address may become another: what it is now says which claim is given back."""
        changing = self._changing(changes)
        for _ in range(_TRIES):
            user = self._current(user_id)
            if version is not None and user["version"] != version:
                raise VersionConflict("the user has another version", user)
            action = Update(user_key(user_id), **changing._asdict(), version=user["version"])
            try:
                if user["email"] == changes["email"]:
                    self._table.transact_write([action])
                else:
                    self._write_with_claim(action, user_id, changes["email"], self._release(user))
            except TransactionCancelled as cancelled:
                if not _has_changed(cancelled):
                    raise
            else:
                return changing.applied_to(user)
        raise Conflict(_BUSY)

    def _write_with_claim(self, action: Put | Update, user_id: str, email: str, *more: Delete) -> None:
        """Carry out an action on a user's item together with the claim of an address; `AlreadyTaken` if it is held."""
        claim = self._makers.entity("EmailClaim", claim_key(email), {"userId": user_id})
        try:
            self._table.transact_write([action, Put(claim, if_absent=True), *more])
        except TransactionCancelled as cancelled:
            mine, held = cancelled.reasons[:2]
            if mine is not None or not isinstance(held, AlreadyExists):
                raise
            owner = self._abandoned_by(held.item, email)
        else:
            return
        try:
            self._table.transact_write([action, Put(claim, condition=Attr("userId").eq(owner)), *more])
        except TransactionCancelled as cancelled:
            raise AlreadyTaken("email") if isinstance(cancelled.reasons[1], ConditionFailed) else cancelled from None

    def _abandoned_by(self, claim: Plain | None, email: str) -> str:
        """Return whose claim it is that nobody needs: Time to Live has removed its user, and leaves claims behind."""
        owner = None if claim is None else str(claim["userId"])
        user = None if owner is None else self.get(owner, consistent=True)
        if owner is None or (user is not None and user["email"] == email):
            raise AlreadyTaken("email")
        return owner

    def _release(self, user: Plain) -> Delete:
        own = Attr("userId").not_exists() | Attr("userId").eq(user["userId"])
        return Delete(claim_key(user["email"]), condition=own)

    def _current(self, user_id: str) -> Plain:
        user = self.get(user_id, consistent=True)
        if user is None:
            raise NotFound(_GONE)
        return user

    def _changing(self, changes: Mapping[str, Any]) -> Changing:
        return self._makers.changing({**changes, "ttl": self._expiry()})

    def _expiry(self) -> int:
        return self._makers.seconds_after(USER_SECONDS)


def _has_changed(cancelled: TransactionCancelled) -> bool:
    """Tell whether a transaction failed since the user has changed after it was read: it is read again then."""
    reason = cancelled.reasons[0]
    if isinstance(reason, NotFound):
        raise reason
    return isinstance(reason, VersionConflict)
