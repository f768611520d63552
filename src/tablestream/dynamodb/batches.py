"""`batch_get` and `batch_write`: many items of one or several tables, by hundreds and by twenty-fives, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from tablestream.dynamodb.calls import RETRIES, Calls
from tablestream.dynamodb.client import READ_LIMIT, WRITE_LIMIT, attempt, get_batch, write_batch
from tablestream.dynamodb.errors import ErrorKind, Failed, InvalidRequest, TableError, Unavailable, table_error_of
from tablestream.dynamodb.expressions import Expressions, Path
from tablestream.dynamodb.items import Key
from tablestream.dynamodb.schema import KeyLike, Schema
from tablestream.image import plain
from tablestream.run import chunks


class Got(NamedTuple):
    """The items that a batch of reads found, and the keys without one."""

    items: list[dict[str, Any]]
    """The items, in the order of the keys."""
    missing: list[KeyLike]
    """Keys, as they were given, of which there is no item."""


class Unwritten(NamedTuple):
    """The part of a batch of writes that is not written: false where that is nothing."""

    puts: list[Mapping[str, Any]]
    deletes: list[KeyLike]
    error: TableError | None = None
    """Why, where something is left."""

    def __bool__(self) -> bool:
        """Tell whether something is left."""
        return bool(self.puts or self.deletes)


def batch_get(
    calls: Calls, schema: Schema, keys: Iterable[KeyLike], fields: Sequence[Path], *, consistent: bool
) -> Got:
    """Read items; a `Key` may be of another table. A repeated key counts once."""
    given: dict[Key, KeyLike] = {}
    tagged: defaultdict[str, dict[Key, dict[str, Any]]] = defaultdict(dict)
    for key in keys:
        table = key.table if isinstance(key, Key) else schema.name
        made = key.tagged() if isinstance(key, Key) and table != schema.name else schema.key(key)
        known = Key.of(table, plain(made))
        given.setdefault(known, key)
        tagged[table][known] = made
    terms = Expressions()
    names = dict.fromkeys(name for known in given for name, _ in known.attributes)
    hidden = [name for name in names if fields and name not in fields and (name,) not in fields]
    options: dict[str, Any] = {"ConsistentRead": True} if consistent else {}
    projection = terms.paths([*fields, *[(name,) for name in hidden]]) if fields else ""
    terms.into(options, ProjectionExpression=projection)
    parts = [
        partial(_read, calls, table, dict(part), options)
        for table, of_table in tagged.items()
        for part in chunks(list(of_table.items()), READ_LIMIT)
    ]
    found = {key: item for part in calls.run.parallel.run(parts) for key, item in part.items()}
    items = {key: schema.plain(item) for key, item in found.items()}
    for item in items.values():
        for name in hidden:
            item.pop(name, None)
    return Got(
        [items[key] for key in given if key in items], [key for known, key in given.items() if known not in items]
    )


def _read(calls: Calls, table: str, wanted: dict[Key, Any], options: Mapping[str, Any]) -> dict[Key, Any]:
    doing = f"BatchGetItem of {table}"
    like = next(iter(wanted))
    left = list(wanted.values())
    found: dict[Key, Any] = {}
    failure = Failed(TimeoutError("unprocessed"), ErrorKind.THROTTLE)
    if calls.run.deadline.expired:
        raise Unavailable(f"{doing}: the deadline came before the call")
    for _ in calls.run.attempts(RETRIES):
        answer = attempt(partial(get_batch, calls.client, table, left, options))
        if isinstance(answer, Failed):
            failure = answer
            if failure.kind in {ErrorKind.INVALID, ErrorKind.CONFIGURATION}:
                break
        else:
            items, left = answer
            found |= {_key_of(item, like): item for item in items}
        if not left:
            return found
    raise table_error_of(failure, doing) from None


def _key_of(item: Mapping[str, Any], like: Key) -> Key:
    return Key.of(like.table, plain({name: item[name] for name, _ in like.attributes}))


def batch_write(
    calls: Calls, schema: Schema, puts: Iterable[Mapping[str, Any]], deletes: Iterable[KeyLike]
) -> Unwritten:
    """Put and delete items; return what is left."""
    given: dict[Key, tuple[dict[str, Any], Any]] = {}
    for item in puts:
        made = schema.item(item)
        _once(given, Key.of(schema.name, plain(schema.key_of(made))), {"PutRequest": {"Item": made}}, item)
    for key in deletes:
        made = schema.key(key)
        _once(given, Key.of(schema.name, plain(made)), {"DeleteRequest": {"Key": made}}, key)
    parts = [partial(_write, calls, schema, dict(part)) for part in chunks(list(given.items()), WRITE_LIMIT)]
    written = calls.run.parallel.run(parts)
    left = [given[key] for keys, _ in written for key in keys]
    errors = [error for _, error in written if error is not None]
    return Unwritten(
        [thing for entry, thing in left if "PutRequest" in entry],
        [thing for entry, thing in left if "DeleteRequest" in entry],
        errors[0] if errors else None,
    )


def _once(given: dict[Key, tuple[dict[str, Any], Any]], key: Key, entry: dict[str, Any], thing: Any) -> None:
    if key in given:
        raise InvalidRequest(f"{key.table}: wanted each key once in a batch of writes, got one twice")
    given[key] = entry, thing


def _write(
    calls: Calls, schema: Schema, wanted: dict[Key, tuple[dict[str, Any], Any]]
) -> tuple[list[Key], TableError | None]:
    """Write a part; return the keys that are left, and why. What can never succeed is raised."""
    doing = f"BatchWriteItem of {schema.name}"
    left = {key: entry for key, (entry, _) in wanted.items()}
    failure = Failed(TimeoutError("unprocessed"), ErrorKind.THROTTLE)
    if calls.run.deadline.expired:
        return list(left), Unavailable(f"{doing}: the deadline came before the call")
    for _ in calls.run.attempts(RETRIES):
        answer = attempt(partial(write_batch, calls.client, schema.name, list(left.values())))
        if isinstance(answer, Failed):
            failure = answer
            if failure.kind in {ErrorKind.INVALID, ErrorKind.CONFIGURATION}:
                raise table_error_of(failure, doing) from None
        else:
            keys = [_key_of_entry(schema, entry) for entry in answer]
            left = {key: left[key] for key in keys}
        if not left:
            return [], None
    return list(left), table_error_of(failure, doing)


def _key_of_entry(schema: Schema, entry: Mapping[str, Any]) -> Key:
    item = entry["PutRequest"]["Item"] if "PutRequest" in entry else entry["DeleteRequest"]["Key"]
    return Key.of(schema.name, plain(schema.key_of(item)))
