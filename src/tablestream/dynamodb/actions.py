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
from tablestream.dynamodb.requests.checks import (
    check_list,
    check_mapping,
    check_names,
    check_number,
    check_text,
    wrong,
)
from tablestream.dynamodb.requests.expressions import Expressions, Path, steps_of
from tablestream.dynamodb.schema import KeyLike, Nulls, Schema, check_key_value, check_size
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


class ReadyAction(NamedTuple):
    """An action of a transaction in DynamoDB's own words, as `tablestream.dynamodb.transactions.build` returns them."""

    entry: Mapping[str, Any]
    """An entry of TransactItems, with its table."""


TableAction = Put | Update | Delete | Check | ReadyAction
OneItem = Put | Update | Delete | Check
"""An action that can be carried out by itself."""
_ACTIONS = frozenset({Put, Update, Delete, Check, ReadyAction})


def request_of(action: OneItem, schema: Schema) -> dict[str, Any]:
    """Return the parameters of an action, the same by itself and in a transaction."""
    terms = Expressions()
    if (version := getattr(action, "version", None)) is not None:
        check_number("version", version)
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
    if isinstance(action, ReadyAction):
        return dict(action.entry)
    return {"ConditionCheck" if isinstance(action, Check) else type(action).__name__: request_of(action, schema)}


def _conditions(action: OneItem, schema: Schema, terms: Expressions) -> list[str]:
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
    for word, values in (("set", action.set), ("add", action.add), ("delete", action.delete)):
        check_mapping(word, values)
    check_names("remove", action.remove)
    given = dict(action.set)
    if action.version is not None and not {schema.version, (schema.version,)} & {*given, *action.add}:
        given[schema.version] = action.version + 1
    places = (*given, *action.remove, *action.add, *action.delete)
    if not places:
        raise InvalidRequest("update: wanted something to change (set, add, remove or delete), got nothing")
    _check_places(places, schema)
    dropped = [path for path, value in given.items() if value is None] if schema.nulls is Nulls.DROP else []
    clauses = {
        "SET": [_set(terms, path, value, schema) for path, value in given.items() if path not in dropped],
        "REMOVE": [terms.path(path) for path in (*action.remove, *dropped)],
        "ADD": [_operand(terms, path, value, _ADDED, "a number or a set") for path, value in action.add.items()],
        "DELETE": [_operand(terms, path, value, _SETS, "a set") for path, value in action.delete.items()],
    }
    return " ".join([f"{word} {', '.join(parts)}" for word, parts in clauses.items() if parts])


def _check_places(paths: Iterable[Path], schema: Schema) -> None:
    """Refuse to change an attribute of the key, and to change one place twice."""
    taken: set[tuple[str, ...]] = set()
    fixed = schema.primary.attributes
    for path in paths:
        place = steps_of(path)
        if place and place[0] in fixed:
            raise InvalidRequest(
                f"{place[0]}: wanted an attribute that can change, got one of the key of {schema.name}"
            )
        if place in taken:
            raise InvalidRequest(f"{'.'.join(place)}: wanted one change of an attribute, got two")
        taken.add(place)
    for place in taken:
        if len(place) > 1 and any(place[:count] in taken for count in range(1, len(place))):
            raise InvalidRequest(
                f"{'.'.join(place)}: wanted one change of an attribute, got one of the whole and one in it"
            )


_SETS = frozenset({"SS", "NS", "BS"})
_ADDED = _SETS | {"N"}


def _operand(terms: Expressions, path: Path, value: Any, tags: frozenset[str], wanted: str) -> str:
    """Return a place and what is added to it or taken out of it."""
    place, placeholder = terms.path(path), terms.value(value, path)
    if terms.values[placeholder].keys() - tags:
        raise wrong(".".join(steps_of(path)), wanted, value)
    return f"{place} {placeholder}"


def _set(terms: Expressions, path: Path, value: Any, schema: Schema) -> str:
    place = terms.path(path)
    if isinstance(value, IfAbsent):
        return f"{place} = if_not_exists({place}, {_value(terms, path, value.value, schema)})"
    if isinstance(value, Append):
        check_list(".".join(steps_of(path)), value.entries, "a list of entries")
        begin, entries = terms.value([], path), terms.value(list(value.entries), path, schema.tagging)
        return f"{place} = list_append(if_not_exists({place}, {begin}), {entries})"
    return f"{place} = {_value(terms, path, value, schema)}"


def _value(terms: Expressions, path: Path, value: Any, schema: Schema) -> str:
    """Return a placeholder for a value that is set; a key attribute of an index has its type."""
    placeholder = terms.value(value, path, schema.tagging)
    name = path[0] if isinstance(path, tuple) and len(path) == 1 else path
    if name in schema.rules:
        check_key_value(str(name), terms.values[placeholder], schema.rules[str(name)])
    return placeholder


# --- what became of it -----------------------------------------------------------------------------------------------


def is_repeatable(action: OneItem) -> bool:
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
    elif not isinstance(action, ReadyAction):
        version = getattr(action, "version", None)
        if item is None and (_must_exist(action) or version is not None):
            return NotFound(f"{doing}: there is no item with this key")
        if item is not None and version is not None and item.get(schema.version) != version:
            return VersionConflict(f"{doing}: the item has another version than the one that is wanted", item)
    return ConditionFailed(f"{doing}: the condition does not hold for the item", item)


# --- carrying out ----------------------------------------------------------------------------------------------------


def carry_out(calls: Calls, schema: Schema, action: OneItem, options: Mapping[str, Any]) -> dict[str, Any]:
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
    check_list("actions", actions, "a list of Put, Update, Delete and Check")
    placed = [(action, _schema_of(action, schema)) for action in actions]
    _check_count(len(placed))
    if token is not None:
        check_text("token", token)
        if not 1 <= len(token) <= _MAX_TOKEN:
            raise InvalidRequest(f"token: wanted text of 1 to {_MAX_TOKEN} letters, got {len(token)}")
    entries = [entry_of(action, its_schema) for action, its_schema in placed]
    _check_keys(entries, placed)
    request = {
        "TransactItems": entries,
        "ClientRequestToken": new_token() if token is None else token,
    }
    doing = f"TransactWriteItems of {schema.name}"
    answer = calls.write("TransactWriteItems", request, doing, repeatable=True)
    if isinstance(answer, Refused):
        raise _cancelled(placed, answer.answer, doing) from None


_MAX_TOKEN = 36


def _schema_of(action: TableAction, schema: Schema) -> Schema:
    """Return the schema of an action's table."""
    if type(action) not in _ACTIONS:
        raise wrong("actions", "Put, Update, Delete or Check", action)
    table = getattr(action, "table", None)
    if table is None:
        return schema
    its_schema = getattr(table, "schema", None)
    if not isinstance(its_schema, Schema):
        raise wrong(f"{type(action).__name__}.table", "a Table", table)
    return its_schema


def _check_keys(entries: Iterable[Mapping[str, Any]], placed: Iterable[tuple[TableAction, Schema]]) -> None:
    """Refuse two actions on one item; of those that are ready DynamoDB itself does."""
    taken = set()
    for entry, (action, schema) in zip(entries, placed, strict=True):
        if isinstance(action, ReadyAction):
            continue
        (request,) = entry.values()
        item = request.get("Key") or request["Item"]
        place = (schema.name, *[text for name in schema.primary.attributes for text in item[name].values()])
        if place in taken:
            names = " and ".join(schema.primary.attributes)
            raise InvalidRequest(
                f"{schema.name}: wanted one action on an item in a transaction, got two of one {names}"
            )
        taken.add(place)


def transact_get(
    calls: Calls, schema: Schema, keys: Iterable[KeyLike], fields: Sequence[Path]
) -> list[dict[str, Any] | None]:
    """Read items as they are at one moment."""
    check_list("keys", keys, "a list of keys")
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
