"""`ItemStore`: items that are changed together, by one writer at a time: whoever read what is not so any more is told.

    >>> store = ItemStore(Table("games", client))
    >>> store.set({"pk": "GAME#1", "sk": "BOARD", "moves": 0}, {"pk": "GAME#1", "sk": "CLOCK", "left": 300})
    >>> board, clock = {"pk": "GAME#1", "sk": "BOARD"}, {"pk": "GAME#1", "sk": "CLOCK"}
    >>> mine, yours = store.read(board, board, clock), store.read(board, board, clock)
    >>> store.set_atomic(mine.lock, {**board, "moves": 1}, {**clock, "left": 290})
    >>> store.set_atomic(yours.lock, {**board, "moves": 1}, {**clock, "left": 280})
    Traceback (most recent call last):
    tablestream.dynamodb.errors.RaceCondition: ItemStore of games: somebody else has changed what is under the lock
    >>> [item["left"] for item in store.get_many([clock])]
    [290]

Nobody waits for a lock. It is an item with a version, beside what it stands for: a change goes into one transaction
with the next version, under the condition that the lock is still as it was read. A process that dies holds nobody up.

Reads never write, and they are consistent. With an eventually consistent one a lock may be fresh and an item beside it
stale: the condition holds then, and what somebody has written in between is lost. `read` takes lock and items at one
moment for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, overload

from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.conditions import Key as KeyOf

from tablestream.dynamodb.actions import Check, Delete, Put, ReadyAction, TableAction, Update
from tablestream.dynamodb.batches import Unwritten
from tablestream.dynamodb.errors import (
    ConditionFailed,
    InvalidRequest,
    RaceCondition,
    TransactionCancelled,
    Unavailable,
)
from tablestream.dynamodb.requests.checks import check_list, check_mapping, check_number, check_text, wrong
from tablestream.dynamodb.table import Table

T = TypeVar("T")
Plain = dict[str, Any]
ItemKey = Mapping[str, Any]
"""A primary key by the names of its attributes."""

LOCK_SECONDS = 24 * 3600
"""A lock that nobody uses for so long counts as none."""
RENEWED_SECONDS = 3600
"""One that is read in its last hour lasts as long as a new one."""
_SUFFIX = "#LOCK"
_VERSION, _TTL = "version", "ttl"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Codec(Protocol[T]):
    """Turns values of a class into items, with their key attributes, and back."""

    def encode(self, value: T, /) -> Mapping[str, Any]:
        """Return the item for a value."""
        ...

    def decode(self, item: Plain, /) -> T:
        """Return the value that an item stands for."""
        ...


class _Maps:
    """Leaves items as they are."""

    def encode(self, value: Mapping[str, Any], /) -> Mapping[str, Any]:
        return value

    def decode(self, item: Plain, /) -> Plain:
        return item


@dataclass(slots=True)
class Lock:
    """A lock as it was read. A change that succeeds makes it the new one, which can be used for the next change."""

    key: ItemKey
    """The key of what it stands for."""
    version: int
    """The changes that were made under it, 0 where there is none yet."""
    expires: int
    """When its time is over, in seconds since the epoch: it is of no use then, and has to be read again."""
    stored: int | None
    """What its item has for the same, None where there is no item. The next change writes `expires`."""


class Held(NamedTuple, Generic[T]):
    """Items and the lock that they are under, as they were at one moment."""

    lock: Lock
    items: list[T | None]


class ItemStore(Generic[T]):
    """Items of a table as plain dictionaries, or as values of a class, several of which may be changed together."""

    @overload
    def __init__(
        self: ItemStore[Plain], table: Table, *, seconds: int = ..., lock_attributes: Mapping[str, Any] = ...
    ) -> None: ...

    @overload
    def __init__(
        self, table: Table, codec: Codec[T], *, seconds: int = ..., lock_attributes: Mapping[str, Any] = ...
    ) -> None: ...

    def __init__(
        self,
        table: Table,
        codec: Codec[Any] | None = None,
        *,
        seconds: int = LOCK_SECONDS,
        lock_attributes: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Take the table, and what turns items into values of a class.

        Args:
            table: where the items lie. Its clock tells the time, and its backoff how to wait after a race.
            codec: makes items of values; without one they are dictionaries.
            seconds: how long a lock lasts. The table's Time to Live attribute is `ttl`, which removes old ones.
            lock_attributes: what each lock's item gets beside its own, as the entity type by which a stream's filter
                knows it.
        """
        check_number("seconds", seconds, 1)
        check_mapping("lock_attributes", lock_attributes)
        self._table = table
        self._codec: Codec[Any] = codec or _Maps()
        self._seconds = seconds
        self._attributes = lock_attributes

    # --- without a lock ----------------------------------------------------------------------------------------------

    def set(self, *items: T) -> None:
        """Write items, each in the place of whatever has its key; raises `Unavailable` if not all could be."""
        encoded = [self._codec.encode(item) for item in items]
        if len(encoded) == 1:
            self._table.put(encoded[0])
        elif encoded:
            _check_all_written(self._table.batch_write(puts=encoded), len(encoded))

    def get(self, key: ItemKey) -> T | None:
        """Return an item, None where there is none."""
        return self._decoded(self._table.get(key, consistent=True))

    def get_many(self, keys: Sequence[ItemKey]) -> list[T | None]:
        """Return the items of any number of keys, in their order, None for each that there is not."""
        check_list("keys", keys, "a list of keys")
        names = self._table.schema.primary.attributes
        found = {
            tuple([item[name] for name in names]): item for item in self._table.batch_get(keys, consistent=True).items
        }
        return [self._decoded(found.get(tuple([key[name] for name in names]))) for key in keys]

    def delete(self, *keys: ItemKey) -> None:
        """Take items away; raises `Unavailable` if not all could be."""
        if len(keys) == 1:
            self._table.delete(keys[0])
        elif keys:
            _check_all_written(self._table.batch_write(deletes=keys), len(keys))

    def query(self, pk: str, prefix: str = "") -> list[T]:
        """Return all items of a partition whose sort key begins with a prefix, in its order."""
        return list(self.stream(pk, prefix))

    def stream(self, pk: str, prefix: str = "") -> Iterator[T]:
        """Yield the items of a partition, read as they are asked for; locks are none of them."""
        primary = self._table.schema.primary
        partition, sort = primary.partition, primary.sort
        if sort is None:
            raise InvalidRequest(f"{self._table.name}: wanted a table with a sort key, got one without")
        check_text("prefix", prefix)
        whole = KeyOf(partition).eq(pk)
        wanted = whole & KeyOf(sort).begins_with(prefix) if prefix else whole
        for item in self._table.items(wanted, consistent=True):
            if not str(item[sort]).endswith(_SUFFIX):
                yield self._codec.decode(item)

    # --- under a lock ------------------------------------------------------------------------------------------------

    def lock(self, key: ItemKey) -> Lock:
        """Read the lock of a key. Items that are read after it may be changed with it."""
        return self._lock_of(key, self._table.get(self._lock_key(key), consistent=True))

    def read(self, key: ItemKey, *keys: ItemKey) -> Held[T]:
        """Return the lock of a key and the items of keys at one moment, that of `key` itself if none are given."""
        lock, *items = self._table.transact_get([self._lock_key(key), *(keys or (key,))])
        return Held(self._lock_of(key, lock), [self._decoded(item) for item in items])

    def set_atomic(self, lock: Lock, *items: T | TableAction) -> None:
        """Write items together, all or none, unless somebody else has changed what is under the lock since it was read.

        An item may also be a `Put`, `Update`, `Delete` or `Check`. The lock takes one of the hundred actions of a
        transaction, and is the new one afterwards.

        Raises `RaceCondition` where somebody was faster, or the lock's time is over: nothing was written, read again.
        Raises `TransactionCancelled` with a reason for each of the items where a condition of one does not hold.
        After `OutcomeUnknown` the lock is as it was read: if the change took effect, it is refused from now on.
        """
        if not isinstance(lock, Lock):
            raise wrong("lock", "a Lock", lock)
        if lock.expires <= self._table.run.clock.now():
            raise self._race("the lock's time is over")
        actions: list[TableAction] = [self._action(item) for item in items]
        try:
            self._table.transact_write([self._next(lock), *actions])
        except TransactionCancelled as cancelled:
            # A conflict on the lock is a change of somebody else that is under way.
            if isinstance(cancelled.reasons[0], ConditionFailed | Unavailable):
                raise self._race("somebody else has changed what is under the lock") from None
            raise TransactionCancelled(str(cancelled), cancelled.reasons[1:]) from None
        lock.version += 1
        lock.stored = lock.expires

    def change(
        self,
        key: ItemKey,
        function: Callable[[list[T | None]], Sequence[T | None]],
        *,
        keys: Sequence[ItemKey] = (),
        held: Held[T] | None = None,
    ) -> Held[T]:
        """Read items, change them with a function and write them; after a race once more, until the deadline.

        Two calls a try. Who passes what the last change returned needs one, as long as nobody else changes anything.
        Waits grow and are drawn at random from the first race on.

        Args:
            key: the key whose lock is used.
            function: gets the items of the keys, None for one that there is not, and returns what they are to be, None
                for one that is to be gone. It may be called several times, and must do nothing else.
            keys: the items, `key` itself if none are given.
            held: what the last change of the same keys returned.
        """
        keys = keys or (key,)
        race: RaceCondition = self._race("the deadline came before the first try")
        for _ in self._table.run.attempts():
            now = held or self.read(key, *keys)
            wanted = list(function(list(now.items)))
            if len(wanted) != len(keys):
                raise InvalidRequest(f"function: wanted {len(keys)} items back, one for each key, got {len(wanted)}")
            changes = [Delete(key) if item is None else item for key, item in zip(keys, wanted, strict=True)]
            try:
                self.set_atomic(now.lock, *changes)
            except RaceCondition as lost:
                race, held = lost, None
            else:
                return Held(now.lock, wanted)
        raise race

    # --- parts -------------------------------------------------------------------------------------------------------

    def _decoded(self, item: Plain | None) -> T | None:
        return None if item is None else self._codec.decode(item)

    def _action(self, item: T | TableAction) -> TableAction:
        return item if isinstance(item, Put | Update | Delete | Check | ReadyAction) else Put(self._codec.encode(item))

    def _lock_key(self, key: ItemKey) -> Plain:
        """Return the key of a lock's item: it lies beside what it stands for."""
        check_mapping("key", key)
        last = self._table.schema.primary.attributes[-1]
        check_text(last, key.get(last))
        return {**key, last: f"{key[last]}{_SUFFIX}"}

    def _lock_of(self, key: ItemKey, item: Plain | None) -> Lock:
        """Return the lock that an item stands for. One whose time is over is taken over: its version goes on."""
        now = int(self._table.run.clock.now())
        if item is None:
            return Lock(key, 0, now + self._seconds, None)
        stored = int(item[_TTL])
        lasts = stored - now > min(RENEWED_SECONDS, self._seconds // 2)
        return Lock(key, int(item[_VERSION]), stored if lasts else now + self._seconds, stored)

    def _next(self, lock: Lock) -> Put:
        """Return the lock's next version, if it is still as it was read.

        The version alone does not tell: one that Time to Live has removed and somebody has made anew begins at 1 again,
        but not with the same time.
        """
        item = {**self._attributes, **self._lock_key(lock.key), _VERSION: lock.version + 1, _TTL: lock.expires}
        if lock.stored is None:
            return Put(item, if_absent=True)
        return Put(item, condition=Attr(_VERSION).eq(lock.version) & Attr(_TTL).eq(lock.stored))

    def _race(self, why: str) -> RaceCondition:
        return RaceCondition(f"ItemStore of {self._table.name}: {why}")


def _check_all_written(left: Unwritten, count: int) -> None:
    if left:
        raise Unavailable(f"{len(left.puts) + len(left.deletes)} of {count} items could not be written") from left.error
