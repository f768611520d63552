"""`Table`: the items of a DynamoDB table as plain dictionaries, one method for each thing that is done with them.

    >>> from boto3.dynamodb.conditions import Key
    >>> from tablestream.dynamodb import Index, Table
    >>> orders = Table("orders", client, key=("pk", "sk"), indexes={"byStatus": Index("status", "createdAt")})
    >>> orders.put({"pk": "USER#1", "sk": "ORDER#1", "status": "pending"}, if_absent=True)
    >>> orders.query(Key("pk").eq("USER#1") & Key("sk").begins_with("ORDER#"), limit=20, newest_first=True)
    Page(items=[{'pk': 'USER#1', 'sk': 'ORDER#1', 'status': 'pending'}], cursor=None)

Whole numbers are `int`, other numbers `Decimal`, binary values `bytes`, sets `frozenset`. What goes wrong is a
`TableError` (`tablestream.dynamodb.errors`). The client is one of boto3 or botocore. It should try nothing twice
itself, which `tablestream.dynamodb.connect` sees to: a write that is sent again behind the table's back may find its
own work and call it a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tablestream.dynamodb.actions import (
    Delete,
    OneItem,
    Put,
    Returns,
    TableAction,
    Update,
    carry_out,
    transact_get,
    transact_write,
)
from tablestream.dynamodb.batches import Got, Unwritten, batch_get, batch_write
from tablestream.dynamodb.calls import Calls, Observe
from tablestream.dynamodb.pages import Page, Wanted, query, read_all, read_page, scan
from tablestream.dynamodb.requests.checks import wrong
from tablestream.dynamodb.requests.expressions import Expressions, Path
from tablestream.dynamodb.schema import Index, KeyLike, Nulls, Schema
from tablestream.run import Run

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
_RUN = Run()


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

    @property
    def run(self) -> Run:
        """The deadline, the clock and the retry delays of its calls."""
        return self._calls.run

    def within(self, run: Run) -> Table:
        """Return the same table for another deadline, as that of an invocation.

        >>> hurried = orders.within(Run(Deadline(lambda: 0.0)))
        >>> hurried.get({"pk": "USER#1", "sk": "ORDER#1"})
        Traceback (most recent call last):
        tablestream.dynamodb.errors.Unavailable: GetItem of orders: the deadline came before the call

        """
        if not isinstance(run, Run):
            raise wrong("run", "a Run", run)
        other = object.__new__(Table)
        other.schema = self.schema
        other._calls = Calls(self._calls.client, run, self._calls.observe)
        return other

    # --- one item ----------------------------------------------------------------------------------------------------

    def get(self, key: KeyLike, *, consistent: bool = False, fields: Sequence[Path] = ()) -> dict[str, Any] | None:
        """Return an item, or those of its attributes that `fields` names; None where there is none.

        >>> orders.put({"pk": "USER#1", "sk": "ORDER#1", "status": "pending", "items": [{"productId": "tea"}]})
        >>> orders.get({"pk": "USER#1", "sk": "ORDER#1"}, fields=["status"], consistent=True)
        {'status': 'pending'}
        >>> orders.get({"pk": "USER#1", "sk": "ORDER#2"}) is None
        True

        """
        terms = Expressions()
        request: dict[str, Any] = {"TableName": self.name, "Key": self.schema.key(key)}
        if consistent:
            request["ConsistentRead"] = True
        terms.into(request, ProjectionExpression=terms.paths(fields))
        item = self._calls.read("GetItem", request, f"GetItem of {self.name}").get("Item")
        return None if item is None else self.schema.plain(item)

    def put(self, item: Mapping[str, Any], *, if_absent: bool = False, condition: ConditionBase | None = None) -> None:
        """Write an item, in the place of whatever has its key; `if_absent` where there must be none.

        >>> order = {"pk": "USER#1", "sk": "ORDER#1", "status": "pending", "total": Decimal("9.90"), "note": None}
        >>> orders.put(order, if_absent=True)
        >>> orders.put({**order, "total": 5}, if_absent=True)
        Traceback (most recent call last):
        tablestream.dynamodb.errors.AlreadyExists: Put in orders: there is an item with this key
        >>> orders.put({**order, "total": 5}, condition=Attr("status").eq("pending"))

        """
        self._write(Put(item, if_absent, condition), {})

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
        """Change attributes of an item; return the item as it is then, or what `returns` says.

        There must be an item, unless `create` is set. With `version` it must have that version, and gets the next one.

        >>> orders.put({"pk": "USER#1", "sk": "ORDER#1", "status": "pending", "version": 1, "tags": {"new", "gift"}})
        >>> key = {"pk": "USER#1", "sk": "ORDER#1"}
        >>> changed = orders.update(key, set={"status": "shipped"}, delete={"tags": {"new"}}, version=1)
        >>> changed["status"], changed["version"], sorted(changed["tags"])
        ('shipped', 2, ['gift'])
        >>> try:
        ...     orders.update(key, set={"status": "cancelled"}, version=1)
        ... except VersionConflict as conflict:
        ...     conflict.item["status"], conflict.item["version"]
        ('shipped', 2)
        >>> orders.update({"pk": "VIEWS", "sk": "1"}, add={"count": 1}, create=True)["count"]
        1

        """
        if not isinstance(returns, Returns):
            raise wrong("returns", "one of Returns", returns)
        action = Update(key, set, add, remove, delete, condition, create, version)
        answer = self._write(action, {"ReturnValues": returns.value})
        return self.schema.plain(answer.get("Attributes") or {})

    def delete(
        self,
        key: KeyLike,
        *,
        condition: ConditionBase | None = None,
        must_exist: bool = False,
        version: int | None = None,
    ) -> dict[str, Any] | None:
        """Take an item away; return it as it was, None where there was none.

        >>> orders.put({"pk": "USER#1", "sk": "ORDER#1", "status": "pending"})
        >>> orders.delete({"pk": "USER#1", "sk": "ORDER#1"}, condition=Attr("status").eq("pending"))["status"]
        'pending'
        >>> orders.delete({"pk": "USER#1", "sk": "ORDER#1"}, must_exist=True)
        Traceback (most recent call last):
        tablestream.dynamodb.errors.NotFound: Delete in orders: there is no item with this key

        """
        answer = self._write(Delete(key, condition, must_exist, version), {"ReturnValues": "ALL_OLD"})
        old = answer.get("Attributes")
        return self.schema.plain(old) if old else None

    def _write(self, action: OneItem, options: Mapping[str, Any]) -> dict[str, Any]:
        return carry_out(self._calls, self.schema, action, options)

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
        """Return a page of the items of a partition, in the order of the sort key.

        A page with a filter is filled up to `limit` over at most `reads` reads.

        >>> left = orders.batch_write([{"pk": "USER#1", "sk": f"ORDER#{n}", "status": "pending"} for n in range(5)])
        >>> mine = Key("pk").eq("USER#1") & Key("sk").begins_with("ORDER#")
        >>> page = orders.query(mine, limit=3, newest_first=True)
        >>> [item["sk"] for item in page.items], page.has_more
        (['ORDER#4', 'ORDER#3', 'ORDER#2'], True)
        >>> [item["sk"] for item in orders.query(mine, limit=3, newest_first=True, cursor=page.cursor).items]
        ['ORDER#1', 'ORDER#0']

        """
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
        """Yield the items of a partition, as `query` does without pages; they are read as they are asked for.

        >>> orders.put({"pk": "USER#1", "sk": "ORDER#1", "status": "pending", "createdAt": "2025-11-20"})
        >>> [item["sk"] for item in orders.items(Key("status").eq("pending"), index="byStatus")]
        ['ORDER#1']

        """
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
        """Return a page of all the items of the table or an index, in no order; it costs what it reads.

        >>> left = orders.batch_write([{"pk": f"USER#{n}", "sk": "PROFILE", "age": n} for n in range(40)])
        >>> page = orders.scan(filter=Attr("age").gte(30), limit=5)
        >>> len(page.items), page.has_more
        (5, True)

        """
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
        """Yield all items, as `scan` does without pages; they are read as they are asked for.

        >>> left = orders.batch_write([{"pk": f"USER#{n}", "sk": "PROFILE"} for n in range(40)])
        >>> sum(1 for item in orders.scan_items(fields=["pk"]))
        40

        """
        wanted = Wanted(index, filter, fields, newest_first=False, consistent=consistent)
        return read_all(self._calls, scan(self.schema, wanted))

    # --- many items --------------------------------------------------------------------------------------------------

    def batch_get(self, keys: Iterable[KeyLike], *, fields: Sequence[Path] = (), consistent: bool = False) -> Got:
        """Return the items of any number of keys, in their order, and the keys that are missing.

        A `tablestream.dynamodb.items.Key` may be of another table.

        >>> orders.put({"pk": "USER#1", "sk": "PROFILE", "name": "Ann"})
        >>> orders.batch_get([{"pk": f"USER#{n}", "sk": "PROFILE"} for n in (2, 1)], fields=["name"])
        Got(items=[{'name': 'Ann'}], missing=[{'pk': 'USER#2', 'sk': 'PROFILE'}])

        """
        return batch_get(self._calls, self.schema, keys, fields, consistent=consistent)

    def batch_write(self, puts: Iterable[Mapping[str, Any]] = (), deletes: Iterable[KeyLike] = ()) -> Unwritten:
        """Put and delete any number of items, in no order; return what could not be written in time.

        >>> left = orders.batch_write(puts=[{"pk": f"USER#{n}", "sk": "PROFILE"} for n in range(60)])
        >>> bool(left)
        False
        >>> orders.batch_write(deletes=[{"pk": "USER#1", "sk": "PROFILE"}])
        Unwritten(puts=[], deletes=[], error=None)

        """
        return batch_write(self._calls, self.schema, puts, deletes)

    def transact_write(self, actions: Iterable[TableAction], *, token: str | None = None) -> None:
        """Carry out up to a hundred actions, all of them or none.

        It is sent again where its answer is lost: a token lets it take effect once. Give one of your own, and the
        same request may be sent by two programs.

        >>> orders.put({"pk": "ACCOUNT#1", "sk": "BALANCE", "balance": 10})
        >>> transfer = [
        ...     Update(
        ...         {"pk": "ACCOUNT#1", "sk": "BALANCE"}, add={"balance": -7}, condition=Attr("balance").gte(7)
        ...     ),
        ...     Put({"pk": "ACCOUNT#1", "sk": "TXN#1", "amount": -7}, if_absent=True),
        ... ]
        >>> orders.transact_write(transfer)
        >>> try:
        ...     orders.transact_write(transfer)
        ... except TransactionCancelled as cancelled:
        ...     [type(reason).__name__ for reason in cancelled.reasons], cancelled.reasons[0].item["balance"]
        (['ConditionFailed', 'AlreadyExists'], 3)

        """
        transact_write(self._calls, self.schema, actions, token)

    def transact_get(self, keys: Iterable[KeyLike], *, fields: Sequence[Path] = ()) -> list[dict[str, Any] | None]:
        """Return the items of up to a hundred keys as they were at one moment, None for each that there is not.

        >>> orders.put({"pk": "ACCOUNT#1", "sk": "BALANCE", "balance": 10})
        >>> orders.transact_get([{"pk": f"ACCOUNT#{n}", "sk": "BALANCE"} for n in (1, 2)])
        [{'pk': 'ACCOUNT#1', 'sk': 'BALANCE', 'balance': 10}, None]

        """
        return transact_get(self._calls, self.schema, keys, fields)
