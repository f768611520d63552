"""`Table`: the items of a DynamoDB table as plain dictionaries, one method for each thing that is done with them.

    from boto3.dynamodb.conditions import Attr, Key
    from tablestream.dynamodb import Index, Table

    orders = Table("orders", client, key=("pk", "sk"), indexes={"byStatus": Index("status", "createdAt")})
    orders.put({"pk": "USER#1", "sk": "ORDER#1", "status": "pending"}, if_absent=True)
    page = orders.query(Key("pk").eq("USER#1") & Key("sk").begins_with("ORDER#"), limit=20, newest_first=True)

Whole numbers are `int`, other numbers `Decimal`, binary values `bytes`, sets `frozenset`. What goes wrong is a
`TableError` (`tablestream.dynamodb.errors`). The client is one of boto3 or botocore. It should try nothing twice
itself, which `tablestream.dynamodb.client.dynamodb_client` sees to: a write that is sent again behind the table's back
may find its own work and call it a conflict.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tablestream.dynamodb.actions import (
    Delete,
    Put,
    Returns,
    TableAction,
    Update,
    entry_of,
    is_repeatable,
    refusal,
    request_of,
)
from tablestream.dynamodb.batches import Got, Unwritten, batch_get, batch_write
from tablestream.dynamodb.calls import NO_REASON, Calls, Observe, Refused
from tablestream.dynamodb.errors import (
    InvalidRequest,
    TableError,
    TransactionCancelled,
    Unavailable,
    kind_of_code,
    table_error,
)
from tablestream.dynamodb.expressions import Expressions, Path
from tablestream.dynamodb.pages import Page, Wanted, query, read_all, read_page, scan
from tablestream.dynamodb.schema import Index, KeyLike, Nulls, Schema
from tablestream.run import Run

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
_RUN = Run()
MAX_ACTIONS = 100
"""Actions of a transaction."""


class Table:
    """A table of DynamoDB."""

    def __init__(
        self,
        name: str,
        client: Any,
        *,
        key: str | Sequence[str] = ("pk", "sk"),
        indexes: Mapping[str, Index] = _NOTHING,
        types: Mapping[str, type] = _NOTHING,
        run: Run = _RUN,
        nulls: Nulls = Nulls.DROP,
        version: str = "version",
        observe: Observe | None = None,
    ) -> None:
        """Take the table's name, a client, and what the table is like.

        Args:
            name: the table's name or ARN.
            client: a client of boto3 or botocore for DynamoDB.
            key: the key attributes, the partition first.
            indexes: the key attributes of the indexes by their names.
            types: `int` or `bytes` for key attributes that are not text.
            run: the deadline and the retry delays of an invocation.
            nulls: what becomes of attributes that are None.
            version: the attribute that counts the changes of an item.
            observe: gets an operation and the capacity units that it took, after each call.
        """
        self.schema = Schema.of(name, key, indexes, types, nulls=nulls, version=version)
        self._calls = Calls.of(client, run, observe)

    @property
    def name(self) -> str:
        """The table's name."""
        return self.schema.name

    def within(self, run: Run) -> Table:
        """Return the same table for another deadline."""
        other = object.__new__(Table)
        other.schema = self.schema
        other._calls = Calls(self._calls.client, run, self._calls.observe)
        return other

    # --- one item ----------------------------------------------------------------------------------------------------

    def get(self, key: KeyLike, *, consistent: bool = False, fields: Sequence[Path] = ()) -> dict[str, Any] | None:
        """Return an item, or those of its attributes that `fields` names; None where there is none."""
        terms = Expressions()
        request: dict[str, Any] = {"TableName": self.name, "Key": self.schema.key(key)}
        if consistent:
            request["ConsistentRead"] = True
        terms.into(request, ProjectionExpression=terms.paths(fields))
        item = self._calls.read("GetItem", request, f"GetItem of {self.name}").get("Item")
        return None if item is None else self.schema.plain(item)

    def put(self, item: Mapping[str, Any], *, if_absent: bool = False, condition: ConditionBase | None = None) -> None:
        """Write an item, in the place of whatever has its key."""
        self._write("PutItem", Put(item, if_absent, condition), {})

    def update(
        self,
        key: KeyLike,
        *,
        set: Mapping[Path, Any] = _NOTHING,
        add: Mapping[Path, Any] = _NOTHING,
        remove: Sequence[Path] = (),
        delete: Mapping[Path, AbstractSet[Any]] = _NOTHING,
        condition: ConditionBase | None = None,
        create: bool = False,
        version: int | None = None,
        returns: Returns = Returns.ALL_NEW,
    ) -> dict[str, Any]:
        """Change attributes of an item; return the item as it is then, or what `returns` says."""
        action = Update(key, set, add, remove, delete, condition, create, version)
        answer = self._write("UpdateItem", action, {"ReturnValues": returns.value})
        return self.schema.plain(answer.get("Attributes") or {})

    def delete(
        self,
        key: KeyLike,
        *,
        condition: ConditionBase | None = None,
        must_exist: bool = False,
        version: int | None = None,
    ) -> dict[str, Any] | None:
        """Take an item away; return it as it was, None where there was none."""
        answer = self._write("DeleteItem", Delete(key, condition, must_exist, version), {"ReturnValues": "ALL_OLD"})
        old = answer.get("Attributes")
        return self.schema.plain(old) if old else None

    def _write(self, operation: str, action: TableAction, options: Mapping[str, Any]) -> dict[str, Any]:
        request = {**request_of(action, self.schema), **options}
        doing = f"{operation} of {self.name}"
        answer = self._calls.write(operation, request, doing, repeatable=is_repeatable(action))
        if isinstance(answer, Refused):
            raise refusal(action, self.schema, _item_in(self.schema, answer.answer)) from None
        return answer

    # --- pages -------------------------------------------------------------------------------------------------------

    def query(
        self,
        condition: ConditionBase,
        *,
        index: str | None = None,
        filter: ConditionBase | None = None,
        fields: Sequence[Path] = (),
        limit: int | None = 20,
        cursor: str | None = None,
        newest_first: bool = False,
        consistent: bool = False,
        reads: int = 10,
    ) -> Page:
        """Return a page of the items of a partition, in the order of the sort key."""
        walk = query(self.schema, condition, Wanted(index, filter, fields, newest_first, consistent))
        return read_page(self._calls, walk, limit, cursor, reads)

    def items(
        self,
        condition: ConditionBase,
        *,
        index: str | None = None,
        filter: ConditionBase | None = None,
        fields: Sequence[Path] = (),
        newest_first: bool = False,
        consistent: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of a partition, as `query` does without pages; they are read as they are asked for."""
        return read_all(
            self._calls, query(self.schema, condition, Wanted(index, filter, fields, newest_first, consistent))
        )

    def scan(
        self,
        *,
        index: str | None = None,
        filter: ConditionBase | None = None,
        fields: Sequence[Path] = (),
        limit: int | None = 20,
        cursor: str | None = None,
        consistent: bool = False,
        reads: int = 10,
    ) -> Page:
        """Return a page of all the items of the table or an index, in no order; it costs what it reads."""
        walk = scan(self.schema, Wanted(index, filter, fields, newest_first=False, consistent=consistent))
        return read_page(self._calls, walk, limit, cursor, reads)

    def scan_items(
        self,
        *,
        index: str | None = None,
        filter: ConditionBase | None = None,
        fields: Sequence[Path] = (),
        consistent: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yield all items, as `scan` does without pages; they are read as they are asked for."""
        wanted = Wanted(index, filter, fields, newest_first=False, consistent=consistent)
        return read_all(self._calls, scan(self.schema, wanted))

    # --- many items --------------------------------------------------------------------------------------------------

    def batch_get(self, keys: Iterable[KeyLike], *, fields: Sequence[Path] = (), consistent: bool = False) -> Got:
        """Return the items of any number of keys, in their order, and the keys that are missing."""
        return batch_get(self._calls, self.schema, keys, fields, consistent=consistent)

    def batch_write(self, puts: Iterable[Mapping[str, Any]] = (), deletes: Iterable[KeyLike] = ()) -> Unwritten:
        """Put and delete any number of items, in no order; return what could not be written in time."""
        return batch_write(self._calls, self.schema, puts, deletes)

    def transact_write(self, actions: Iterable[TableAction], *, token: str | None = None) -> None:
        """Carry out up to a hundred actions, all of them or none."""
        placed = [(action, self._schema_of(action)) for action in actions]
        _check_count(len(placed))
        request = {
            "TransactItems": [entry_of(action, schema) for action, schema in placed],
            "ClientRequestToken": uuid.uuid4().hex if token is None else token,
        }
        doing = f"TransactWriteItems of {self.name}"
        answer = self._calls.write("TransactWriteItems", request, doing, repeatable=True)
        if isinstance(answer, Refused):
            raise _cancelled(placed, answer.answer, doing) from None

    def transact_get(self, keys: Iterable[KeyLike], *, fields: Sequence[Path] = ()) -> list[dict[str, Any] | None]:
        """Return the items of up to a hundred keys as they were at one moment, None for each that there is not."""
        gets = [self._get_of(key, fields) for key in keys]
        _check_count(len(gets))
        doing = f"TransactGetItems of {self.name}"
        answer = self._calls.read("TransactGetItems", {"TransactItems": gets}, doing)
        told = answer.get("Responses")
        if not isinstance(told, list) or len(told) != len(gets):
            raise Unavailable(f"{doing}: wanted an answer for each key, got something else")
        return [self.schema.plain(part["Item"]) if part.get("Item") else None for part in told]

    def _get_of(self, key: KeyLike, fields: Sequence[Path]) -> dict[str, Any]:
        terms = Expressions()
        table = getattr(key, "table", self.name)
        request: dict[str, Any] = {
            "TableName": table,
            "Key": self.schema.key(key) if table == self.name else key.tagged(),  # type: ignore[union-attr]
        }
        return {"Get": terms.into(request, ProjectionExpression=terms.paths(fields))}

    def _schema_of(self, action: TableAction) -> Schema:
        return self.schema if action.table is None else action.table.schema


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_ACTIONS:
        raise InvalidRequest(f"wanted 1 to {MAX_ACTIONS} items in a transaction, got {count}")


def _item_in(schema: Schema, told: Mapping[str, Any]) -> dict[str, Any] | None:
    item = told.get("Item")
    return schema.plain(item) if item else None


def _cancelled(
    placed: Sequence[tuple[TableAction, Schema]], answer: Mapping[str, Any], doing: str
) -> TransactionCancelled:
    told = answer.get("CancellationReasons") or ()
    pairs = zip(placed, told, strict=True) if len(told) == len(placed) else ()
    reasons = tuple([_reason(action, schema, reason, doing) for (action, schema), reason in pairs])
    count = sum([reason is not None for reason in reasons])
    return TransactionCancelled(f"{doing}: {count} of {len(placed)} actions were refused, none took effect", reasons)


def _reason(action: TableAction, schema: Schema, reason: Mapping[str, Any], doing: str) -> TableError | None:
    code = reason.get("Code") or NO_REASON
    if code == NO_REASON:
        return None
    if code == "ConditionalCheckFailed":
        return refusal(action, schema, _item_in(schema, reason))
    return table_error(code, kind_of_code(code), doing, str(reason.get("Message") or ""))
