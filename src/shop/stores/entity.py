"""The attributes that all entities of the shop's table have, and what their stores share.

An entity has `entityType`, `createdAt`, `updatedAt` and `version`, which is 1 at first and one more with each change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shop.keys import ItemKey, ulid
from shop.stock.decisions import iso_time
from tablestream.dynamodb import ConditionFailed, Index
from tablestream.errors import TablestreamError

Plain = dict[str, Any]
"""An item as plain values."""

BY_STATUS, BY_EMAIL, BY_CREATION, BY_ORDER_ID = "byStatus", "byEmail", "byCreation", "GSI1"
INDEXES = {
    BY_STATUS: Index("status", "createdAt"),
    BY_EMAIL: Index("email", "createdAt"),
    BY_CREATION: Index("pk", "createdAt", local=True),
    BY_ORDER_ID: Index("GSI1PK", "GSI1SK"),
}
"""The indexes of the shop's table, as `template.yaml` makes them."""


class AlreadyTaken(TablestreamError):
    """An id or an address that a new item is to have belongs to another one."""

    def __init__(self, attribute: str) -> None:
        """Take the name of the attribute."""
        super().__init__(f"{attribute} is taken")
        self.attribute = attribute


class IllegalTransition(ConditionFailed):
    """An item has a status from which there is no way to the wanted one; `item` is the item as it is."""


class Makers(NamedTuple):
    """Makes times and ids: of this machine, or chosen ones in a test."""

    now: Callable[[], float]
    random: Callable[[int], int] = secrets.randbits

    def time(self) -> str:
        """Return the time as items hold it."""
        return iso_time(self.now())

    def seconds_after(self, seconds: int) -> int:
        """Return the moment so many seconds from now, in whole seconds since the epoch, as Time to Live takes it."""
        return int(self.now()) + seconds

    def ulid(self) -> str:
        """Return a new id that sorts by its time."""
        return ulid(self.now(), self.random(80))

    def secret(self) -> str:
        """Return a new id that nobody can guess: 160 random bits."""
        return f"{self.random(160):040x}"

    def entity(self, kind: str, key: ItemKey, attributes: Mapping[str, Any]) -> Plain:
        """Return a new item; attributes that are None are left out."""
        now = self.time()
        given = {name: value for name, value in attributes.items() if value is not None}
        return {**key, "entityType": kind, **given, "createdAt": now, "updatedAt": now, "version": 1}

    def changing(self, changes: Mapping[str, Any]) -> Changing:
        """Return the update that changes attributes of an entity, of which None removes one."""
        kept = {name: value for name, value in changes.items() if value is not None}
        removed = tuple([name for name, value in changes.items() if value is None])
        return Changing({**kept, "updatedAt": self.time()}, removed, {"version": 1})


class Changing(NamedTuple):
    """The parts of an update that changes an entity."""

    set: Mapping[str, Any]
    remove: tuple[str, ...]
    add: Mapping[str, int]

    def applied_to(self, item: Plain) -> Plain:
        """Return an item as the update leaves it."""
        left = {name: value for name, value in item.items() if name not in self.remove}
        return {**left, **self.set, "version": item["version"] + 1}


class Between(NamedTuple):
    """A range of `createdAt`, both ends inclusive; None is open."""

    first: str | None
    last: str | None

    def of(self, attribute: Any) -> Any:
        """Return the condition that an attribute of boto3's conditions lies in the range, None where it is open."""
        if self.first is not None and self.last is not None:
            return attribute.between(self.first, self.last)
        if self.first is not None:
            return attribute.gte(self.first)
        return None if self.last is None else attribute.lte(self.last)
