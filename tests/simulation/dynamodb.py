"""DynamoDB in memory: the calls that the worker, the journal and the baselines make, with DynamoDB's own refusals.

Items are kept with their type tags and never changed in place, so images can be handed out without copying.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tablestream.testing.errors import cancelled, client_error
from tests.simulation.expressions import MissingAttribute, condition, update

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

Item = dict[str, Any]
Key = tuple[str, ...]
Listener = Callable[[Item, Item | None, Item | None], None]
"""Gets the key and the images before and after, for a write that changed something."""

TOKEN_SECONDS = 600
"""How long a ClientRequestToken is remembered."""
_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}


class ConditionFailed(Exception):
    """The condition of a write does not hold; the item as it is."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class Table:
    """A table: its key's attributes and its items."""

    def __init__(self, key: tuple[str, ...], listener: Listener | None = None) -> None:
        self.key = key
        self.items: dict[Key, Item] = {}
        self.listener = listener

    def key_of(self, item: Mapping[str, Any], operation: str, *, exact: bool = True) -> Key:
        if exact and set(item) != set(self.key):
            raise invalid(operation, "The provided key element does not match the schema")
        values = [item.get(name, {}).get("S") for name in self.key]
        if not all(isinstance(value, str) and value for value in values):
            raise invalid(operation, "One or more parameter values are not valid: key attributes must be text")
        return tuple(str(value) for value in values)

    def store(self, key: Key, new: Item | None) -> None:
        old = self.items.get(key)
        if old == new:
            return
        if new is None:
            del self.items[key]
        else:
            self.items[key] = new
        if self.listener is not None:
            self.listener({name: {"S": value} for name, value in zip(self.key, key, strict=True)}, old, new)


class DynamoDB:
    """The service. `now` is the clock; a transaction holds its items for `processing()` seconds."""

    def __init__(self, now: Callable[[], float], processing: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self._processing = processing
        self.tables: dict[str, Table] = {}
        self._tokens: dict[str, tuple[float, float, Any]] = {}
        self._busy: dict[tuple[str, Key], float] = {}
        self.conflicts = 0

    def get_item(self, **request: Any) -> dict[str, Any]:
        table = self._table(request, "GetItem")
        item = table.items.get(table.key_of(request["Key"], "GetItem"))
        return {} if item is None else {"Item": dict(item)}

    def put_item(self, **request: Any) -> dict[str, Any]:
        return self._single({"Put": request}, "PutItem")

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._single({"Update": request}, "UpdateItem")

    def delete_item(self, **request: Any) -> dict[str, Any]:
        return self._single({"Delete": request}, "DeleteItem")

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        responses: dict[str, list[Item]] = {}
        wanted = [(name, key) for name, part in request["RequestItems"].items() for key in part["Keys"]]
        keys = [(name, self._known(name, "BatchGetItem").key_of(key, "BatchGetItem")) for name, key in wanted]
        _check_size(keys, 100, "BatchGetItem")
        for name, key in keys:
            item = self.tables[name].items.get(key)
            responses.setdefault(name, []).extend([] if item is None else [dict(item)])
        return {"Responses": responses, "UnprocessedKeys": {}}

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        writes = [
            (name, entry["PutRequest"]["Item"]) for name, part in request["RequestItems"].items() for entry in part
        ]
        keys = [
            (name, self._known(name, "BatchWriteItem").key_of(item, "BatchWriteItem", exact=False))
            for name, item in writes
        ]
        _check_size(keys, 25, "BatchWriteItem")
        for (name, key), (_, item) in zip(keys, writes, strict=True):
            self.tables[name].store(key, dict(item))
        return {"UnprocessedItems": {}}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        actions: Sequence[dict[str, Any]] = request["TransactItems"]
        token = request.get("ClientRequestToken")
        if token is not None and self._repeated(token, actions):
            return {}
        keys = [self._key_of_action(action) for action in actions]
        _check_size(keys, 100, "TransactWriteItems")
        busy = [self._busy.get(key, 0.0) > self._now() for key in keys]
        if any(busy):
            self.conflicts += 1
            raise cancelled([{"Code": "TransactionConflict"} if held else {"Code": "None"} for held in busy])
        results = [self._try(action) for action in actions]
        if any(failed for failed, _ in results):
            raise cancelled([result if failed else {"Code": "None"} for failed, result in results])
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

    def _try(self, action: dict[str, Any]) -> tuple[bool, Any]:
        """Whether the action failed, with the reason; or the new item."""
        try:
            return False, self._result(action, "TransactWriteItems")
        except ConditionFailed as failed:
            ((_, request),) = action.items()
            shown = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and failed.item
            return True, {**_FAILED, "Item": dict(failed.item)} if shown and failed.item else dict(_FAILED)
        except MissingAttribute as error:
            return True, {"Code": "ValidationError", "Message": str(error)}

    def _single(self, action: dict[str, Any], operation: str) -> dict[str, Any]:
        name, key = self._key_of_action(action)
        if self._busy.get((name, key), 0.0) > self._now():
            self.conflicts += 1
            raise client_error("TransactionConflictException", operation)
        old = self.tables[name].items.get(key)
        try:
            new = self._result(action, operation)
        except ConditionFailed as failed:
            ((_, request),) = action.items()
            shown = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and failed.item
            extra: dict[str, Any] = {"Item": dict(failed.item)} if shown and failed.item else {}
            code, message = "ConditionalCheckFailedException", "The conditional request failed"
            raise client_error(code, operation, message=message, **extra) from None
        except MissingAttribute as error:
            raise invalid(operation, str(error)) from None
        self.tables[name].store(key, new)
        ((_, request),) = action.items()
        wanted = request.get("ReturnValues", "NONE")
        image = {"ALL_OLD": old, "ALL_NEW": new}.get(wanted)
        return {} if image is None else {"Attributes": dict(image)}

    def _result(self, action: dict[str, Any], operation: str) -> Item | None:
        ((kind, request),) = action.items()
        name, key = self._key_of_action(action)
        old = self.tables[name].items.get(key)
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        _check_placeholders(request, operation)
        text = request.get("ConditionExpression")
        if text is not None and not condition(text)(old or {}, names, values):
            raise ConditionFailed(old)
        if kind in {"Delete", "ConditionCheck"}:
            return None if kind == "Delete" else old
        if kind == "Put":
            return dict(request["Item"])
        new = dict(old) if old is not None else dict(request["Key"])
        update(request["UpdateExpression"])(old or {}, new, names, values)
        return new

    def _key_of_action(self, action: dict[str, Any]) -> tuple[str, Key]:
        ((kind, request),) = action.items()
        table = self._table(request, "TransactWriteItems")
        source = request["Item"] if kind == "Put" else request["Key"]
        return request["TableName"], table.key_of(source, "TransactWriteItems", exact=kind != "Put")

    def _table(self, request: Mapping[str, Any], operation: str) -> Table:
        return self._known(request["TableName"], operation)

    def _known(self, name: str, operation: str) -> Table:
        if name not in self.tables:
            raise client_error("ResourceNotFoundException", operation, message="Requested resource not found")
        return self.tables[name]


def invalid(operation: str, message: str) -> ClientError:
    return client_error("ValidationException", operation, message=message)


def _check_size(keys: Sequence[tuple[str, Key]], limit: int, operation: str) -> None:
    if not 1 <= len(keys) <= limit:
        raise invalid(operation, f"Member must have length less than or equal to {limit}, and not be empty")
    if len(set(keys)) < len(keys):
        raise invalid(operation, "Provided list of item keys contains duplicates")


def _check_placeholders(request: Mapping[str, Any], operation: str) -> None:
    """What is used must be given, and what is given must be used."""
    texts = tuple(request.get(name, "") for name in ("ConditionExpression", "UpdateExpression"))
    used = _placeholders(texts)
    given = {*request.get("ExpressionAttributeNames", ()), *request.get("ExpressionAttributeValues", ())}
    if used != given:
        raise invalid(operation, f"expression placeholders used {sorted(used)}, given {sorted(given)}")


@lru_cache(maxsize=512)
def _placeholders(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(found for text in texts for found in _PLACEHOLDER.findall(text))
