"""Make the embedded AWS do, and its stream records say, what AWS would, and in a time that one can wait for.

moto writes a record for a write that changes nothing, two INSERTs for an UpdateItem that creates an item, and removes
nothing by TTL. The first two are mended where the record is made: only there both images are known, of which the stream
may show one or none. (A stream of DynamoDB Local passes through unchanged.)

To be able to cancel a transaction, moto copies each table, with all stream records, once for every action. When it
cancels, the copy takes the table's place, while an iterator that is open goes on with the old one: it shows records
that were never committed, and misses what comes after them.
"""

from __future__ import annotations

import copy
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Self

from moto import backends
from moto.core import responses
from moto.core.serialize import SERVICE_SPECIFIC_SERIALIZERS, JSONSerializer
from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import LocalSecondaryIndex, SecondaryIndex, StreamShard

from tablestream.local.delivery.protocol import LambdaRecord

if TYPE_CHECKING:
    from moto.core.model import StructureShape
    from moto.dynamodb.models.dynamo_type import DynamoType, Item
    from moto.dynamodb.models.table import Table

TTL_IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class Corrections:
    """Lets removals look as if TTL had done them. `mark_expired` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expiring: set[str] = set()

    def mark_expired(self, keys: Mapping[str, Any]) -> None:
        """The next removal of the item with these keys (in DynamoDB JSON) shall look as if TTL had done it."""
        with self._lock:
            self._expiring.add(_identity(keys))

    def __call__(self, records: Sequence[LambdaRecord]) -> list[LambdaRecord]:
        """The records as AWS would have written them, in the same order."""
        return [self._expired(record) if record["eventName"] == "REMOVE" else record for record in records]

    def _expired(self, record: LambdaRecord) -> LambdaRecord:
        identity = _identity(record["dynamodb"]["Keys"])
        with self._lock:
            if identity not in self._expiring:
                return record
            self._expiring.discard(identity)
        return {**record, "userIdentity": TTL_IDENTITY}


def _identity(keys: Mapping[str, Any]) -> str:
    return json.dumps(keys, sort_keys=True)


def correct_moto() -> None:
    """Let moto's streams tell of changes only, of each once; let it take transactions back in place, and be quicker.

    For the whole process; to call it again changes nothing. docs/moto/ says what each is for, with some of them as
    changes of moto itself, and tests say when moto has them.
    """
    for owner, method, mended in (
        (StreamShard, "add", _changes_only),
        (DynamoDBBackend, "update_item", _created_once),
        (DynamoDBBackend, "transact_write_items", _taking_back),
    ):
        original = getattr(owner, method)
        if not hasattr(original, "__wrapped__"):
            setattr(owner, method, mended(original))
    LocalSecondaryIndex.project = _whole  # type: ignore[assignment]
    for service in ("dynamodb", "dynamodbstreams"):
        SERVICE_SPECIFIC_SERIALIZERS[service] = {"json": _ValueSerializer}
    # For each request moto lists the folder of its services, and the methods of the one that is called.
    for module, name in ((backends, "list_of_moto_modules"), (responses, "method_names_from_class")):
        looked_up = getattr(module, name)
        if not hasattr(looked_up, "__wrapped__"):
            setattr(module, name, _once(looked_up))


def _changes_only(original: Callable[[StreamShard, Item | None, Item | None], None]) -> Callable[..., None]:
    """Return the same method, which makes no record of a write that changes nothing."""

    @wraps(original)
    def add(shard: StreamShard, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or not _same_members(old.attrs, new.attrs):
            original(shard, old, new)

    return add


def _same_members(some: Mapping[str, DynamoType], others: Mapping[str, DynamoType]) -> bool:
    return some.keys() == others.keys() and all(_same(value, others[name]) for name, value in some.items())


def _same(one: DynamoType, other: DynamoType) -> bool:
    """Whether two values are the same to DynamoDB: 1 is 1.0, sets have no order; 1 is not true, nor the text 1."""
    if one.type != other.type:
        return False
    if one.type == "M":
        return _same_members(one.value, other.value)
    if one.type == "L":
        return len(one.value) == len(other.value) and all(map(_same, one.value, other.value))
    return bool(one.cast_value == other.cast_value)


def _created_once(original: Callable[..., Item]) -> Callable[..., Item]:
    """Return the same method, which makes one record of an item that it creates: moto puts the bare key first.

    One that names no attribute creates the item, or does nothing; moto fails then.
    """

    @wraps(original)
    def update_item(backend: DynamoDBBackend, table_name: str, *rest: Any, **named: Any) -> Item:
        shard = backend.get_table(table_name).stream_shard
        before = len(shard.items) if shard else 0
        if not named.get("update_expression") and named.get("attribute_updates") is None:
            named["attribute_updates"] = {}
        updated = original(backend, table_name, *rest, **named)
        if shard and len(shard.items) == before + 2:
            bare, whole = shard.items[before:]
            whole.record["dynamodb"]["SequenceNumber"] = bare.record["dynamodb"]["SequenceNumber"]
            del shard.items[before]
        return updated

    return update_item


def _whole(_: SecondaryIndex, item: Item) -> Item:
    """Return an item that is found by a local index whole, as it is when all attributes are asked for.

    moto leaves what the index holds of it, whatever is asked for. Where nothing is asked for AWS does so, too; then
    this shows more.
    """
    return item


def _once(look_up: Callable[..., Iterable[str]]) -> Callable[..., Iterable[str]]:
    """Return the same function, which remembers what it found."""

    @cache
    @wraps(look_up)
    def remembered(*asked: object) -> Iterable[str]:
        return tuple(look_up(*asked))

    return remembered


class _ValueSerializer(JSONSerializer):
    """For each attribute value moto asks for ten members that it might have, each under five names (3 ms a record)."""

    def _serialize_type_structure(self, serialized: Any, value: Any, shape: StructureShape, key: str) -> None:
        if shape.name != "AttributeValue" or not isinstance(value, dict) or not value.keys() <= shape.members.keys():
            super()._serialize_type_structure(serialized, value, shape, key)
            return
        members: dict[str, Any] = {}
        for name, member in value.items():
            self._serialize(members, member, shape.members[name], name)
        serialized[key] = members


Transact = Callable[[DynamoDBBackend, list[dict[str, Any]]], None]


def _taking_back(original: Transact) -> Transact:
    @wraps(original)
    def transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        before = [_Before.of(backend, table, transact_items) for table in _tables(backend, transact_items)]
        try:
            with _no_copies(state.table for state in before):
                original(backend, transact_items)
        except Exception:
            for state in before:
                state.restore()
            raise

    return transact_write_items


@dataclass(frozen=True, slots=True)
class _Before:
    """A table before a transaction: its items, those that the transaction names copied, and the stream's length."""

    table: Table
    items: defaultdict[Any, Any]
    records: list[Any]
    length: int

    @classmethod
    def of(cls, backend: DynamoDBBackend, table: Table, actions: Sequence[Mapping[str, Any]]) -> Self:
        # The dictionaries are copied too, not only the items, because a scan shows their order.
        items = copy.copy(table.items)
        for hash_key, range_key in _touched(backend, table, actions):
            if hash_key not in items:
                continue
            if range_key is None:
                items[hash_key] = copy.deepcopy(items[hash_key])
                continue
            partition = items[hash_key] = copy.copy(items[hash_key])
            if range_key in partition:
                partition[range_key] = copy.deepcopy(partition[range_key])
        records = table.stream_shard.items if table.stream_shard else []
        return cls(table, items, records, len(records))

    def restore(self) -> None:
        """Put everything back; table and shard stay the same objects, so that an open iterator sees it too."""
        self.table.items = self.items
        if self.table.stream_shard:
            del self.records[self.length :]
            self.table.stream_shard.items = self.records


def _tables(backend: DynamoDBBackend, actions: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Each table that an action names and that exists, once."""
    found: dict[str, Table] = {}
    for action in (action for one in actions for action in one.values()):
        with suppress(ResourceNotFoundException):
            table = backend.get_table(action.get("TableName", ""))
            found[table.name] = table
    return list(found.values())


def _touched(backend: DynamoDBBackend, table: Table, actions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """The hash and range key of each item of the table that an action names; a missing key is moto's to refuse."""
    for action in (action for one in actions for action in one.values()):
        if action.get("TableName") in (table.name, table.table_arn):
            with suppress(MockValidationException):
                yield backend.get_keys_value(table, action.get("Item") or action.get("Key") or {})


@contextmanager
def _no_copies(tables: Iterable[Table]) -> Iterator[None]:
    """Within the with block a copy of one of the tables is the table itself: moto's own way back leads nowhere."""
    held = list(tables)
    for table in held:
        table.__dict__["__deepcopy__"] = lambda _memo, itself=table: itself
    try:
        yield
    finally:
        for table in held:
            table.__dict__.pop("__deepcopy__", None)
