"""`MemoryDynamoDB`: a client of DynamoDB that keeps its tables in memory, with DynamoDB's own refusals.

It is for tests of sinks, and of whatever else calls DynamoDB, with faults on order:

    db = MemoryDynamoDB()
    db.create("stock", "pk", "sk")
    db.before = lambda operation, request: ...  # raise `client_error("ThrottlingException")`, or write something
    client: Any = db

It answers the calls that this library makes. Conditions and updates are those of `tablestream.testing.expressions`;
a parameter or an expression that it does not know raises `UnsupportedRequest`. It does not check sizes, and keeps
numbers as they are written. That it answers as DynamoDB does is tested in `tests/simulation/test_against_emulators.py`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tablestream.testing.doubles import cancelled, client_error
from tablestream.testing.expressions import UnfitItem, UnsupportedRequest, condition, update

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

Item = dict[str, Any]
"""An item with type tags."""
Action = Mapping[str, Any]
"""A part of a transaction: `Put`, `Update`, `Delete` or `ConditionCheck`, and its parameters."""
KeyValues = tuple[Any, ...]
"""The plain values of a key, each `str`, `Decimal` or `bytes`, in the order of the table's key attributes."""
Listener = Callable[[Item, Item | None, Item | None], None]
"""Gets the key and the images before and after, for a write that changed something."""
Hook = Callable[[str, Mapping[str, Any]], object]
"""Gets an operation's name, such as `PutItem`, and its request; what it raises is what the caller sees."""

TOKEN_SECONDS = 600
"""How long a ClientRequestToken is remembered."""
_READS, _WRITES, _ACTIONS = 100, 25, 100
_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
_NONE = {"Code": "None"}
_OF_ALL = frozenset(
    {
        "TableName",
        "ConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
        "ReturnValuesOnConditionCheckFailure",
    }
)
_KNOWN: Mapping[str, frozenset[str]] = {
    "Put": _OF_ALL | {"Item", "ReturnValues"},
    "Update": _OF_ALL | {"Key", "UpdateExpression", "ReturnValues"},
    "Delete": _OF_ALL | {"Key", "ReturnValues"},
    "ConditionCheck": _OF_ALL | {"Key"},
    "GetItem": frozenset({"TableName", "Key", "ConsistentRead"}),
    "BatchGetItem": frozenset({"RequestItems"}),
    "BatchWriteItem": frozenset({"RequestItems"}),
    "a read of a transaction": frozenset({"TableName", "Key"}),
    "TransactGetItems": frozenset({"TransactItems"}),
    "TransactWriteItems": frozenset({"TransactItems", "ClientRequestToken"}),
    "keys of a table": frozenset({"Keys", "ConsistentRead"}),
}


class _ConditionFailed(Exception):
    """The condition of a write does not hold; `item` is the item as it is."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class MemoryTable:
    """A table: the names of its key attributes and its items, with type tags, by their keys' plain values.

    Items are never changed in place, so images can be handed out without copying.
    """

    def __init__(self, key: tuple[str, ...], listener: Listener | None = None) -> None:
        """Begin empty; the listener is told of each write that changes something, as a stream is."""
        self.key = key
        self.items: dict[KeyValues, Item] = {}
        self.listener = listener

    def key_of(self, item: Mapping[str, Any], operation: str, *, exact: bool = True) -> KeyValues:
        """Return the key of an item, or of a key alone; raises `ClientError` for what is no key of this table."""
        if exact and set(item) != set(self.key):
            raise _invalid(operation, "The provided key element does not match the schema")
        values = [_key_value(item.get(name, {})) for name in self.key]
        if not all(value is not None and value not in {"", b""} for value in values):
            raise _invalid(operation, "One or more parameter values are not valid: key attributes must be scalars")
        return tuple(value for value in values if value is not None)

    def store(self, key: KeyValues, new: Item | None) -> None:
        """Put an item in the place of another, or take it away."""
        old = self.items.get(key)
        if old == new:
            return
        if new is None:
            del self.items[key]
        else:
            self.items[key] = new
        if self.listener is not None:
            image = new if new is not None else old or {}
            self.listener({name: image[name] for name in self.key}, old, new)


class MemoryDynamoDB:
    """A DynamoDB in memory, called as a boto3 client is.

    Attributes to set, for faults and for rivals:
        before: called before a request is looked at; what it raises, the caller sees, and nothing has happened.
        after: called after a request took effect; what it raises, the caller sees in place of the answer.
        reason_against: returns a cancellation reason for an action of a transaction in place of the condition's own,
            such as `{"Code": "TransactionConflict"}`, or None.
        processes: the most keys or items that a batch carries out; the rest comes back unprocessed.
    """

    def __init__(self, now: Callable[[], float] = lambda: 0.0, processing: Callable[[], float] = lambda: 0.0) -> None:
        """Begin without tables; `now` is the clock, and a transaction holds its items for `processing()` seconds."""
        self._now = now
        self._processing = processing
        self.tables: dict[str, MemoryTable] = {}
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.reason_against: Callable[[Action], Mapping[str, Any] | None] = _no_reason
        self.processes = max(_READS, _WRITES)
        self.conflicts = 0
        self._tokens: dict[str, tuple[float, float, Any]] = {}
        self._busy: dict[tuple[str, KeyValues], float] = {}

    def create(self, name: str, *key: str, listener: Listener | None = None) -> MemoryTable:
        """Make a table with one or two key attributes, and return it."""
        table = self.tables[name] = MemoryTable(key, listener)
        return table

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Return an item as it is."""
        return self._call("GetItem", request, self._get)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Put an item in the place of whatever has its key."""
        return self._call("PutItem", request, lambda sent: self._single({"Put": sent}, "PutItem"))

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change an item, or begin one."""
        return self._call("UpdateItem", request, lambda sent: self._single({"Update": sent}, "UpdateItem"))

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Take an item away."""
        return self._call("DeleteItem", request, lambda sent: self._single({"Delete": sent}, "DeleteItem"))

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Return up to a hundred items of distinct keys."""
        return self._call("BatchGetItem", request, self._get_batch)

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """Put or delete up to 25 items of distinct keys."""
        return self._call("BatchWriteItem", request, self._write_batch)

    def transact_get_items(self, **request: Any) -> dict[str, Any]:
        """Return up to a hundred items as they are at one moment; no transaction may be under way on one of them."""
        return self._call("TransactGetItems", request, self._get_at_once)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Carry out up to a hundred actions, or none of them; a token that is known stands for its first request."""
        return self._call("TransactWriteItems", request, self._transact)

    def _call(
        self, operation: str, request: dict[str, Any], serve: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        self.before(operation, request)
        answer = serve(request)
        self.after(operation, request)
        return answer

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_known("GetItem", request)
        table = self._table(request["TableName"], "GetItem")
        item = table.items.get(table.key_of(request["Key"], "GetItem"))
        return {} if item is None else {"Item": dict(item)}

    def _get_batch(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_known("BatchGetItem", request)
        responses: dict[str, list[Item]] = {}
        for part in request["RequestItems"].values():
            _check_known("keys of a table", part)
        wanted = [(name, key) for name, part in request["RequestItems"].items() for key in part["Keys"]]
        keys = [(name, self._table(name, "BatchGetItem").key_of(key, "BatchGetItem")) for name, key in wanted]
        _check_size(keys, _READS, "BatchGetItem")
        for name, key in keys[: self.processes]:
            item = self.tables[name].items.get(key)
            responses.setdefault(name, []).extend([] if item is None else [dict(item)])
        left: dict[str, Any] = {}
        for name, tagged in wanted[self.processes :]:
            left.setdefault(name, {**request["RequestItems"][name], "Keys": []})["Keys"].append(tagged)
        return {"Responses": responses, "UnprocessedKeys": left}

    def _get_at_once(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_known("TransactGetItems", request)
        gets = [part["Get"] for part in request["TransactItems"]]
        for get in gets:
            _check_known("a read of a transaction", get)
        named = [(get["TableName"], get["Key"]) for get in gets]
        keys = [(name, self._table(name, "TransactGetItems").key_of(key, "TransactGetItems")) for name, key in named]
        _check_size(keys, _ACTIONS, "TransactGetItems")
        busy = [self._busy.get(key, 0.0) > self._now() for key in keys]
        if any(busy):
            self.conflicts += 1
            raise cancelled([{"Code": "TransactionConflict"} if held else _NONE for held in busy])
        found = [self.tables[name].items.get(key) for name, key in keys]
        return {"Responses": [{} if item is None else {"Item": dict(item)} for item in found]}

    def _write_batch(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_known("BatchWriteItem", request)
        writes = [(name, entry) for name, part in request["RequestItems"].items() for entry in part]
        keys = [(name, self._key_written(name, entry)) for name, entry in writes]
        _check_size(keys, _WRITES, "BatchWriteItem")
        for (name, key), (_, entry) in zip(keys[: self.processes], writes, strict=False):
            self.tables[name].store(key, dict(entry["PutRequest"]["Item"]) if "PutRequest" in entry else None)
        left: dict[str, Any] = {}
        for name, entry in writes[self.processes :]:
            left.setdefault(name, []).append(entry)
        return {"UnprocessedItems": left}

    def _key_written(self, name: str, entry: Mapping[str, Any]) -> KeyValues:
        table = self._table(name, "BatchWriteItem")
        if "PutRequest" in entry:
            return table.key_of(entry["PutRequest"]["Item"], "BatchWriteItem", exact=False)
        return table.key_of(entry["DeleteRequest"]["Key"], "BatchWriteItem")

    def _transact(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_known("TransactWriteItems", request)
        actions: Sequence[dict[str, Any]] = request["TransactItems"]
        token = request.get("ClientRequestToken")
        if token is not None and self._repeated(token, actions):
            return {}
        keys = [self._key_of_action(action, "TransactWriteItems") for action in actions]
        _check_size(keys, _ACTIONS, "TransactWriteItems")
        busy = [self._busy.get(key, 0.0) > self._now() for key in keys]
        if any(busy):
            self.conflicts += 1
            raise cancelled([{"Code": "TransactionConflict"} if held else _NONE for held in busy])
        results = [self._try(action) for action in actions]
        if any(reason is not None for reason, _ in results):
            raise cancelled([_NONE if reason is None else reason for reason, _ in results])
        until = self._now() + self._processing()
        for (name, key), (_, new) in zip(keys, results, strict=True):
            self._busy[name, key] = until
            self.tables[name].store(key, new)
        if token is not None:
            self._tokens[token] = (self._now(), until, actions)
        return {}

    def _repeated(self, token: str, actions: Sequence[dict[str, Any]]) -> bool:
        at, until, first = self._tokens.get(token, (float("-inf"), 0.0, None))
        if self._now() - at > TOKEN_SECONDS:
            return False
        if first != actions:
            raise client_error("IdempotentParameterMismatchException", "TransactWriteItems")
        if self._now() < until:
            raise client_error("TransactionInProgressException", "TransactWriteItems")
        return True

    def _try(self, action: dict[str, Any]) -> tuple[Mapping[str, Any] | None, Item | None]:
        """Return the reason against an action, or None and the new item."""
        reason = self.reason_against(action)
        if reason is not None:
            return reason, None
        try:
            return None, self._result(action, "TransactWriteItems")
        except _ConditionFailed as failed:
            return {**_FAILED, **_shown(action, failed.item)}, None
        except UnfitItem as error:
            return {"Code": "ValidationError", "Message": str(error)}, None

    def _single(self, action: dict[str, Any], operation: str) -> dict[str, Any]:
        name, key = self._key_of_action(action, operation)
        if self._busy.get((name, key), 0.0) > self._now():
            self.conflicts += 1
            raise client_error("TransactionConflictException", operation)
        old = self.tables[name].items.get(key)
        try:
            new = self._result(action, operation)
        except _ConditionFailed as failed:
            code, shown = "ConditionalCheckFailedException", _shown(action, failed.item)
            raise client_error(code, operation, message=_FAILED["Message"], **shown) from None
        except UnfitItem as error:
            raise _invalid(operation, str(error)) from None
        self.tables[name].store(key, new)
        ((_, request),) = action.items()
        returned = request.get("ReturnValues", "NONE")
        if returned not in {"NONE", "ALL_OLD", "ALL_NEW"}:
            raise UnsupportedRequest(f"wanted ReturnValues of NONE, ALL_OLD or ALL_NEW, got {returned}")
        image = {"ALL_OLD": old, "ALL_NEW": new}.get(returned)
        return {} if image is None else {"Attributes": dict(image)}

    def _result(self, action: dict[str, Any], operation: str) -> Item | None:
        ((kind, request),) = action.items()
        name, key = self._key_of_action(action, operation)
        old = self.tables[name].items.get(key)
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        _check_placeholders(request, operation)
        text = request.get("ConditionExpression")
        if text is not None and not condition(text)(old or {}, names, values):
            raise _ConditionFailed(old)
        if kind in {"Delete", "ConditionCheck"}:
            return None if kind == "Delete" else old
        if kind == "Put":
            return dict(request["Item"])
        new = dict(old) if old is not None else dict(request["Key"])
        update(request["UpdateExpression"])(old or {}, new, names, values)
        return new

    def _key_of_action(self, action: Action, operation: str) -> tuple[str, KeyValues]:
        ((kind, request),) = action.items()
        _check_known(kind, request)
        table = self._table(request["TableName"], operation)
        source = request["Item"] if kind == "Put" else request["Key"]
        return request["TableName"], table.key_of(source, operation, exact=kind != "Put")

    def _table(self, name: str, operation: str) -> MemoryTable:
        if name not in self.tables:
            raise client_error("ResourceNotFoundException", operation, message="Requested resource not found")
        return self.tables[name]


def _nothing(_operation: str, _request: Mapping[str, Any]) -> None:
    """Let a request pass."""


def _no_reason(_action: Action) -> None:
    """Leave it to the condition of an action."""


def _invalid(operation: str, message: str) -> ClientError:
    return client_error("ValidationException", operation, message=message)


def _key_value(tagged: Mapping[str, Any]) -> str | bytes | Decimal | None:
    """Return a key attribute's plain value, None for what no key can be."""
    match tagged:
        case {"S": str(text)}:
            return text
        case {"N": str(number)}:
            return Decimal(number)
        case {"B": bytes(binary)}:
            return binary
        case {"B": str(text)}:
            return base64.b64decode(text)
        case _:
            return None


def _shown(action: Action, item: Item | None) -> dict[str, Any]:
    """Return the item of a condition that failed, where the request wants to see it."""
    ((_, request),) = action.items()
    wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return {"Item": dict(item)} if wanted and item else {}


def _check_known(what: str, request: Mapping[str, Any]) -> None:
    if what not in _KNOWN or not request.keys() <= _KNOWN[what]:
        known = sorted(_KNOWN.get(what, ()))
        raise UnsupportedRequest(f"wanted parameters of {what} among {known}, got {sorted(request)}")


def _check_size(keys: Sequence[tuple[str, KeyValues]], limit: int, operation: str) -> None:
    if not 1 <= len(keys) <= limit:
        raise _invalid(operation, f"Member must have length less than or equal to {limit}, and not be empty")
    if len(set(keys)) < len(keys):
        raise _invalid(operation, "Provided list of item keys contains duplicates")


def _check_placeholders(request: Mapping[str, Any], operation: str) -> None:
    """Refuse what is used and not given, and what is given and not used."""
    texts = tuple(request.get(name, "") for name in ("ConditionExpression", "UpdateExpression"))
    used = _placeholders(texts)
    given = {*request.get("ExpressionAttributeNames", ()), *request.get("ExpressionAttributeValues", ())}
    if used != given:
        raise _invalid(operation, f"expression placeholders used {sorted(used)}, given {sorted(given)}")


@lru_cache(maxsize=512)
def _placeholders(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(found for text in texts for found in _PLACEHOLDER.findall(text))
