"""`Put`, `Update`, `Delete` and `Check`: what is done to one item, by itself or in a transaction, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tablestream.dynamodb.calls import Calls, Refused
from tablestream.dynamodb.errors import (
    CONDITION_FAILED,
    AlreadyExists,
    CancellationReason,
    ConditionFailed,
    InvalidRequest,
    NotFound,
    TableError,
    TransactionCancelled,
    Unavailable,
    VersionConflict,
    cancellation_reasons,
    table_error,
)
from tablestream.dynamodb.expressions import Expressions, Path
from tablestream.dynamodb.schema import KeyLike, Nulls, Schema, check_size
from tablestream.dynamodb.transactions import MAX_ACTIONS, new_token

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase

    from tablestream.dynamodb.table import Table

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Returns(Enum):
    """The attributes that an update returns."""

    NONE = "NONE"
    ALL_OLD = "ALL_OLD"
    UPDATED_OLD = "UPDATED_OLD"
    ALL_NEW = "ALL_NEW"
    UPDATED_NEW = "UPDATED_NEW"


class IfAbsent(NamedTuple):
    """A value that an update sets only where the attribute is not there: `set={"createdAt": IfAbsent(now)}`."""

    value: Any


class Append(NamedTuple):
    """Entries that an update puts at the end of a list, or begins one with: `set={"notes": Append(["called"])}`."""

    entries: Sequence[Any]


class Put(NamedTuple):
    """Write a whole item, in the place of whatever has its key."""

    item: Mapping[str, Any]
    if_absent: bool = False
    """Whether there must be none."""
    condition: ConditionBase | None = None
    table: Table | None = None


class Update(NamedTuple):
    """Change attributes of an item."""

    key: KeyLike
    set: Mapping[Path, Any] = _NOTHING
    """Values by path; None removes where the table drops nulls."""
    add: Mapping[Path, Any] = _NOTHING
    """Numbers to be added, or sets whose members are."""
    remove: Sequence[Path] = ()
    """Paths of what goes."""
    delete: Mapping[Path, AbstractSet[Any]] = _NOTHING
    """Sets whose members are taken out of sets."""
    condition: ConditionBase | None = None
    create: bool = False
    """Whether an item may begin with this."""
    version: int | None = None
    """The version that the item must have; it is counted on, unless the update does so itself."""
    table: Table | None = None


class Delete(NamedTuple):
    """Take an item away."""

    key: KeyLike
    condition: ConditionBase | None = None
    must_exist: bool = False
    version: int | None = None
    """The version that the item must have."""
    table: Table | None = None


class Check(NamedTuple):
    """Let a transaction depend on an item that it does not change: that it is there, or that a condition holds."""

    key: KeyLike
    condition: ConditionBase | None = None
    table: Table | None = None


TableAction = Put | Update | Delete | Check


def request_of(action: TableAction, schema: Schema) -> dict[str, Any]:
    """Return the parameters of an action, the same by itself and in a transaction."""
    terms = Expressions()
    request: dict[str, Any] = {"TableName": schema.name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    change = ""
    if isinstance(action, Put):
        request["Item"] = schema.item(action.item)
    else:
        request["Key"] = schema.key(action.key)
    if isinstance(action, Update):
        change = _change(action, schema, terms)
    condition = " AND ".join(_conditions(action, schema, terms))
    check_size(terms.values)
    if not condition:
        del request["ReturnValuesOnConditionCheckFailure"]
    return terms.into(request, UpdateExpression=change, ConditionExpression=condition)


def entry_of(action: TableAction, schema: Schema) -> dict[str, Any]:
    """Return an action as an entry of TransactItems."""
    request = request_of(action, schema)
    if isinstance(action, Update) and "UpdateExpression" not in request:
        raise InvalidRequest("wanted an update that changes something in a transaction, got none; Check looks only")
    return {"ConditionCheck" if isinstance(action, Check) else type(action).__name__: request}


def _conditions(action: TableAction, schema: Schema, terms: Expressions) -> list[str]:
    found = []
    partition = schema.primary.partition
    if isinstance(action, Put):
        if action.if_absent:
            found.append(f"attribute_not_exists({terms.path((partition,))})")
    elif _must_exist(action):
        found.append(f"attribute_exists({terms.path((partition,))})")
    version = getattr(action, "version", None)
    if version is not None:
        found.append(f"{terms.path((schema.version,))} = {terms.value(version, schema.version)}")
    if action.condition is not None:
        found.append(terms.condition(action.condition))
    return found


def _must_exist(action: Update | Delete | Check) -> bool:
    if isinstance(action, Update):
        return not action.create
    return action.must_exist if isinstance(action, Delete) else action.condition is None


# --- updates ---------------------------------------------------------------------------------------------------------


def _change(action: Update, schema: Schema, terms: Expressions) -> str:
    """Return the update expression."""
    given = dict(action.set)
    if action.version is not None and not {schema.version, (schema.version,)} & {*given, *action.add}:
        given[schema.version] = action.version + 1
    dropped = [path for path, value in given.items() if value is None] if schema.nulls is Nulls.DROP else []
    clauses = {
        "SET": [_set(terms, path, value, schema) for path, value in given.items() if path not in dropped],
        "REMOVE": [terms.path(path) for path in (*action.remove, *dropped)],
        "ADD": [f"{terms.path(path)} {terms.value(value, path)}" for path, value in action.add.items()],
        "DELETE": [f"{terms.path(path)} {terms.value(value, path)}" for path, value in action.delete.items()],
    }
    return " ".join([f"{word} {', '.join(parts)}" for word, parts in clauses.items() if parts])


def _set(terms: Expressions, path: Path, value: Any, schema: Schema) -> str:
    place = terms.path(path)
    if isinstance(value, IfAbsent):
        return f"{place} = if_not_exists({place}, {terms.value(value.value, path, schema.tagging)})"
    if isinstance(value, Append):
        begin, entries = terms.value([], path), terms.value(list(value.entries), path, schema.tagging)
        return f"{place} = list_append(if_not_exists({place}, {begin}), {entries})"
    return f"{place} = {terms.value(value, path, schema.tagging)}"


# --- what became of it -----------------------------------------------------------------------------------------------


def is_repeatable(action: TableAction) -> bool:
    """Tell whether an action that has taken effect does the same once more, so that a lost answer is no matter."""
    if isinstance(action, Update):
        counts = action.add or action.version is not None or any(isinstance(v, Append) for v in action.set.values())
        return not counts and action.condition is None
    if isinstance(action, Put):
        return not action.if_absent and action.condition is None
    if isinstance(action, Delete):
        return not action.must_exist and action.condition is None and action.version is None
    return True


def refusal(action: TableAction, schema: Schema, item: dict[str, Any] | None) -> ConditionFailed:
    """Return the error for an action whose condition did not hold; `item` is the item as it is."""
    doing = f"{type(action).__name__} in {schema.name}"
    if isinstance(action, Put):
        if action.if_absent and item is not None:
            return AlreadyExists(f"{doing}: there is an item with this key", item)
    else:
        version = getattr(action, "version", None)
        if item is None and (_must_exist(action) or version is not None):
            return NotFound(f"{doing}: there is no item with this key")
        if item is not None and version is not None and item.get(schema.version) != version:
            return VersionConflict(f"{doing}: the item has another version than the one that is wanted", item)
    return ConditionFailed(f"{doing}: the condition does not hold for the item", item)


# --- carrying out ----------------------------------------------------------------------------------------------------


def carry_out(calls: Calls, schema: Schema, action: TableAction, options: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out an action by itself; return the answer."""
    operation = f"{type(action).__name__}Item"
    request = {**request_of(action, schema), **options}
    answer = calls.write(operation, request, f"{operation} of {schema.name}", repeatable=is_repeatable(action))
    if isinstance(answer, Refused):
        item = answer.answer.get("Item")
        raise refusal(action, schema, schema.plain(item) if item else None) from None
    return answer


def transact_write(calls: Calls, schema: Schema, actions: Iterable[TableAction], token: str | None) -> None:
    """Carry out actions together or not at all."""
    placed = [(action, schema if action.table is None else action.table.schema) for action in actions]
    _check_count(len(placed))
    request = {
        "TransactItems": [entry_of(action, its_schema) for action, its_schema in placed],
        "ClientRequestToken": new_token() if token is None else token,
    }
    doing = f"TransactWriteItems of {schema.name}"
    answer = calls.write("TransactWriteItems", request, doing, repeatable=True)
    if isinstance(answer, Refused):
        raise _cancelled(placed, answer.answer, doing) from None


def transact_get(
    calls: Calls, schema: Schema, keys: Iterable[KeyLike], fields: Sequence[Path]
) -> list[dict[str, Any] | None]:
    """Read items as they are at one moment."""
    gets = [_get(schema, key, fields) for key in keys]
    _check_count(len(gets))
    doing = f"TransactGetItems of {schema.name}"
    told = calls.read("TransactGetItems", {"TransactItems": gets}, doing).get("Responses")
    if not isinstance(told, list) or len(told) != len(gets):
        raise Unavailable(f"{doing}: wanted an answer for each key, got something else")
    return [schema.plain(part["Item"]) if part.get("Item") else None for part in told]


def _get(schema: Schema, key: KeyLike, fields: Sequence[Path]) -> dict[str, Any]:
    terms = Expressions()
    table, tagged = schema.key_of_any(key)
    request: dict[str, Any] = {"TableName": table, "Key": tagged}
    return {"Get": terms.into(request, ProjectionExpression=terms.paths(fields))}


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_ACTIONS:
        raise InvalidRequest(f"wanted 1 to {MAX_ACTIONS} items in a transaction, got {count}")


def _cancelled(
    placed: Sequence[tuple[TableAction, Schema]], answer: Mapping[str, Any], doing: str
) -> TransactionCancelled:
    told = cancellation_reasons(answer, len(placed))
    reasons = [_error(action, schema, reason, doing) for (action, schema), reason in zip(placed, told, strict=True)]
    count = len(reasons) - reasons.count(None)
    return TransactionCancelled(
        f"{doing}: {count} of {len(placed)} actions were refused, none took effect", tuple(reasons)
    )


def _error(action: TableAction, schema: Schema, reason: CancellationReason | None, doing: str) -> TableError | None:
    if reason is None:
        return None
    if reason.code == CONDITION_FAILED:
        return refusal(action, schema, schema.plain(reason.item) if reason.item else None)
    return table_error(reason.code, reason.kind, doing, reason.told)
