"""`batch_get` and `batch_write`: many items of one or several tables, by hundreds and by twenty-fives, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from tablestream.dynamodb.calls import RETRIES, Calls
from tablestream.dynamodb.client import READ_LIMIT, WRITE_LIMIT, read_batch, write_batch
from tablestream.dynamodb.errors import (
    HOPELESS,
    ErrorKind,
    Failed,
    InvalidRequest,
    TableError,
    Unavailable,
    table_error_of,
)
from tablestream.dynamodb.items import Key
from tablestream.dynamodb.requests.checks import check_list, check_names
from tablestream.dynamodb.requests.expressions import Expressions, Path, unasked
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
    check_list("keys", keys, "a list of keys")
    check_names("fields", fields)
    given: dict[Key, KeyLike] = {}
    tagged: defaultdict[str, dict[Key, dict[str, Any]]] = defaultdict(dict)
    for key in keys:
        table, made = schema.key_of_any(key)
        known = Key.of(table, plain(made))
        given.setdefault(known, key)
        tagged[table][known] = made
    terms = Expressions()
    hidden = unasked([name for known in given for name, _ in known.attributes], fields)
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
    calls.begin(doing)
    keys = list(wanted.values())
    items, left, failure = read_batch(cast("Any", calls), table, keys, calls.run, tries=RETRIES, options=options)
    if left:
        raise table_error_of(failure or _UNPROCESSED, doing) from None
    like = next(iter(wanted))
    return {_key_of(item, like): item for item in items}


_UNPROCESSED = Failed(TimeoutError("unprocessed"), ErrorKind.THROTTLE)


def _key_of(item: Mapping[str, Any], like: Key) -> Key:
    return Key.of(like.table, plain({name: item[name] for name, _ in like.attributes}))


def batch_write(
    calls: Calls, schema: Schema, puts: Iterable[Mapping[str, Any]], deletes: Iterable[KeyLike]
) -> Unwritten:
    """Put and delete items; return what is left. Raises what can never succeed, whatever else was written."""
    check_list("puts", puts, "a list of items")
    check_list("deletes", deletes, "a list of keys")
    given: list[tuple[Any, Any, bool]] = [(schema.item(item), item, True) for item in puts]
    given += [(schema.key(key), key, False) for key in deletes]
    keys = {Key.of(schema.name, plain(schema.key_of(made))) for made, _, _ in given}
    if len(keys) < len(given):
        raise InvalidRequest(f"{schema.name}: wanted each key once in a batch of writes, got one twice")
    parts = chunks(given, WRITE_LIMIT)
    written = calls.run.parallel.run([partial(_write, calls, schema, part) for part in parts])
    left = [part[place] for part, (places, _) in zip(parts, written, strict=True) for place in places]
    errors = [error for _, error in written if error is not None]
    return Unwritten(
        [thing for _, thing, is_put in left if is_put],
        [thing for _, thing, is_put in left if not is_put],
        errors[0] if errors else None,
    )


def _write(calls: Calls, schema: Schema, part: Sequence[tuple[Any, Any, bool]]) -> tuple[list[int], TableError | None]:
    """Write a part; return the places of what is left, and why."""
    doing = f"BatchWriteItem of {schema.name}"
    if calls.run.deadline.expired:
        return list(range(len(part))), Unavailable(f"{doing}: the deadline came before the call")
    entries = [
        {"PutRequest": {"Item": made}} if is_put else {"DeleteRequest": {"Key": made}} for made, _, is_put in part
    ]
    client, names = cast("Any", calls), schema.primary.attributes
    left, failure = write_batch(client, schema.name, entries, calls.run, key=names, tries=RETRIES)
    if not left:
        return [], None
    error = table_error_of(failure or _UNPROCESSED, doing)
    if failure is not None and failure.kind in HOPELESS:
        raise error from None
    return left, error
