"""`query` and `scan` by pages, and the cursors between them.

A cursor is opaque text that a client may keep and send back: base64url of a JSON list, with the format's version, the
index, the direction, and of the next page's start only what the request does not fix itself. The partition is always
the request's, so a cursor of somebody else, or a made-up one, cannot show another partition; one that names a place
within the request's condition is taken. Before DynamoDB sees it,
its length, its shape, the types and sizes of its values, and whether its sort value is within the request's condition
are checked.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tablestream.dynamodb.calls import Calls
from tablestream.dynamodb.errors import InvalidCursor, InvalidRequest, Unavailable
from tablestream.dynamodb.requests.checks import check_names, check_number, check_text
from tablestream.dynamodb.requests.expressions import Expressions, Path, unasked
from tablestream.dynamodb.requests.values import tag
from tablestream.dynamodb.schema import Index, Schema, check_key_value
from tablestream.image import plain

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase

MAX_CURSOR = 50_000
"""Letters of a cursor: keys of the greatest size fit into it."""
_VERSION = 1
_HEAD = 3
"""Version, index and direction."""
_FORWARD, _BACKWARD, _SCAN = 0, 1, 2


class Page(NamedTuple):
    """Items in order, and where the next page begins."""

    items: list[dict[str, Any]]
    cursor: str | None
    """What to ask the next page with; None after the last item."""

    @property
    def has_more(self) -> bool:
        """Whether there is another page."""
        return self.cursor is not None


class Walk(NamedTuple):
    """The way through a part of a table or of an index, in one direction."""

    schema: Schema
    operation: str
    index_name: str | None
    request: Mapping[str, Any]
    """The parameters of a read, without start and limit."""
    fixed: Mapping[str, Any]
    """Key attributes with type tags that the request fixes."""
    holds: Callable[[Any], bool]
    """Tells whether the plain value of the sort key is within the request's condition."""
    direction: int
    hidden: tuple[str, ...]
    """Key attributes that are read for the cursor only."""
    filtered: bool

    @property
    def keys(self) -> Index:
        """The key attributes of what is read."""
        return keys_of(self.schema, self.index_name)

    @property
    def open(self) -> tuple[str, ...]:
        """The attributes of a place in it that the request does not fix, in an order that stays."""
        names = dict.fromkeys((*self.keys.attributes, *self.schema.primary.attributes))
        return tuple([name for name in names if name not in self.fixed])

    def shown(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item with plain values, without what nobody asked for."""
        made = self.schema.plain(item)
        for name in self.hidden:
            made.pop(name, None)
        return made


class Wanted(NamedTuple):
    """The parameters of a query or a scan besides its key condition."""

    index_name: str | None = None
    filter: ConditionBase | None = None
    fields: Sequence[Path] = ()
    newest_first: bool = False
    consistent: bool = False


def keys_of(schema: Schema, index: str | None) -> Index:
    """Return the key attributes of an index, or of the table."""
    if index is None:
        return schema.primary
    check_text("index", index)
    if index not in schema.indexes:
        raise InvalidRequest(f"wanted one of the indexes {', '.join(schema.indexes) or '(none)'}, got {index}")
    return schema.indexes[index]


def query(schema: Schema, condition: ConditionBase, wanted: Wanted) -> Walk:
    """Return the walk of a partition."""
    terms = Expressions()
    keys = keys_of(schema, wanted.index_name)
    parts = _parts(condition, keys, schema)
    for name, (_, operands) in parts.items():
        for operand in operands:
            check_key_value(name, tag(operand, path=name), schema.rules[name])
    fixed = {name: tag(operands[0], path=name) for name, (sign, operands) in parts.items() if sign == "="}
    sort = parts.get(keys.sort or "")
    hidden = _hidden(schema, keys, wanted.fields)
    request = _request(schema, wanted, terms, hidden, KeyConditionExpression=terms.condition(condition))
    if wanted.newest_first:
        request["ScanIndexForward"] = False
    direction = _BACKWARD if wanted.newest_first else _FORWARD
    return Walk(
        schema,
        "Query",
        wanted.index_name,
        request,
        fixed,
        _holds(sort),
        direction,
        hidden,
        wanted.filter is not None,
    )


def scan(schema: Schema, wanted: Wanted) -> Walk:
    """Return the walk of a whole table or index."""
    hidden = _hidden(schema, keys_of(schema, wanted.index_name), wanted.fields)
    request = _request(schema, wanted, Expressions(), hidden)
    filtered = wanted.filter is not None
    return Walk(schema, "Scan", wanted.index_name, request, {}, _holds(None), _SCAN, hidden, filtered)


def _hidden(schema: Schema, keys: Index, fields: Sequence[Path]) -> tuple[str, ...]:
    """Return the key attributes that a projection leaves out, which a cursor needs."""
    check_names("fields", fields)
    return unasked((*keys.attributes, *schema.primary.attributes), fields)


def _request(
    schema: Schema, wanted: Wanted, terms: Expressions, hidden: Sequence[str], **expressions: str
) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": schema.name}
    if wanted.index_name is not None:
        request["IndexName"] = wanted.index_name
    if wanted.index_name is not None and schema.indexes[wanted.index_name].local and not wanted.fields:
        request["Select"] = "ALL_ATTRIBUTES"
    if wanted.consistent:
        request["ConsistentRead"] = True
    if wanted.filter is not None:
        expressions["FilterExpression"] = terms.condition(wanted.filter)
    if wanted.fields:
        expressions["ProjectionExpression"] = terms.paths([*wanted.fields, *[(name,) for name in hidden]])
    return terms.into(request, **expressions)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_page(calls: Calls, walk: Walk, limit: int | None, cursor: str | None, reads: int) -> Page:
    """Read a page; a filtered one over as many reads as it takes, up to `reads` of them."""
    if limit is not None:
        check_number("limit", limit, 1)
    check_number("reads", reads, 1)
    start: Mapping[str, Any] | None = start_of(walk, cursor) if cursor is not None else None
    found: list[Any] = []
    size = None if limit is None else limit + 1
    for _ in range(1 if size is None else reads):
        items, start = _read(calls, walk, start, size, by_client=cursor is not None)
        found += items
        if start is None or limit is None or size is None or len(found) > limit:
            break
        # Where the filter lets few pass, fewer and larger reads.
        size = size * 2 if walk.filtered else limit + 1 - len(found)
    if limit is not None and len(found) > limit:
        del found[limit:]
        start = found[-1]
    return Page([walk.shown(item) for item in found], None if start is None else cursor_at(walk, start))


def read_all(calls: Calls, walk: Walk) -> Iterator[dict[str, Any]]:
    """Yield all items, a read at a time, as they are asked for."""
    start: Mapping[str, Any] | None = None
    while True:
        items, start = _read(calls, walk, start, None, by_client=False)
        yield from [walk.shown(item) for item in items]
        if start is None:
            return


def _read(
    calls: Calls, walk: Walk, start: Mapping[str, Any] | None, size: int | None, *, by_client: bool
) -> tuple[list[Any], Mapping[str, Any] | None]:
    request = dict(walk.request)
    if start is not None:
        request["ExclusiveStartKey"] = start
    if size is not None:
        request["Limit"] = size
    doing = f"{walk.operation} of {walk.schema.name}"
    try:
        answer = calls.read(walk.operation, request, doing)
    except InvalidRequest as error:
        if by_client and ("start key" in error.told.lower() or "starting key" in error.told.lower()):
            raise _refused("a place that DynamoDB takes for this query") from None
        raise
    items = answer.get("Items")
    if not isinstance(items, list):
        raise Unavailable(f"{doing}: wanted a list of items in the answer, got {type(items).__name__}")
    return items, answer.get("LastEvaluatedKey") or None


# --- cursors ---------------------------------------------------------------------------------------------------------


def cursor_at(walk: Walk, start: Mapping[str, Any]) -> str:
    """Return the cursor for what comes after a key, or after the item that has it."""
    if any(name not in start for name in walk.open):
        raise Unavailable(f"{walk.schema.name}: wanted an item with its keys in the answer, got one without")
    values = walk.schema.plain({name: start[name] for name in walk.open})
    return _written(walk, [_text(values[name]) for name in walk.open])


def _written(walk: Walk, values: Sequence[str]) -> str:
    content = [_VERSION, walk.index_name or "", walk.direction, *values]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def _text(value: Any) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


def start_of(walk: Walk, cursor: str) -> dict[str, Any]:
    """Return the key that a cursor stands for; raises `InvalidCursor` for what is no place within this query."""
    values = _content(walk, cursor)
    start = dict(walk.fixed)
    for name, text in zip(walk.open, values, strict=True):
        start[name] = _tagged(walk.schema, name, text)
    sort = walk.keys.sort
    if sort is not None and not walk.holds(plain(start)[sort]):
        raise _refused("a place within the query's condition")
    return {name: start[name] for name in (*walk.keys.attributes, *walk.schema.primary.attributes)}


def _content(walk: Walk, cursor: object) -> list[str]:
    """Return the values of a cursor. There is one text for each place: what is written otherwise is no cursor."""
    if not isinstance(cursor, str) or not 1 <= len(cursor) <= MAX_CURSOR:
        raise _refused(f"text of 1 to {MAX_CURSOR} letters")
    content: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    values = content[_HEAD:] if isinstance(content, list) else []
    if len(values) != len(walk.open) or not all(isinstance(value, str) for value in values):
        raise _refused(f"base64url of a list with {len(walk.open)} values")
    with contextlib.suppress(ValueError):  # halves of letters, which DynamoDB does not take
        if _written(walk, values) == cursor:
            return values
    raise _refused("the cursor of this index and direction")


def _tagged(schema: Schema, name: str, text: str) -> dict[str, Any]:
    rule = schema.rules[name]
    tagged: dict[str, Any] = {}
    with contextlib.suppress(ValueError, ArithmeticError, InvalidRequest):
        tagged = tag(_READERS[rule.tag](text), path=name)
        check_key_value(name, tagged, rule)
        if _text(plain({name: tagged})[name]) == text:
            return tagged
    raise _refused(f"a value of type {rule.tag} for {name}")


_READERS: Mapping[str, Callable[[str], Any]] = {"S": str, "N": Decimal, "B": base64.b64decode}


def _refused(wanted: str) -> InvalidCursor:
    return InvalidCursor(f"cursor: wanted {wanted}, got something else")


# --- key conditions --------------------------------------------------------------------------------------------------

Part = tuple[str, Sequence[Any]]
"""An operator and its operands."""


def _parts(condition: ConditionBase, keys: Index, schema: Schema) -> dict[str, Part]:
    """Return what a condition asks of each key attribute; raises `InvalidRequest` for what is no key condition."""
    parts = _comparisons(condition)
    names = [name for name, _ in parts]
    if len(set(names)) != len(names) or set(names) - {*keys.attributes} or keys.partition not in names:
        sort = f", and at most one condition on {keys.sort}" if keys.sort else ""
        raise InvalidRequest(
            f"{schema.name}: wanted Key({keys.partition!r}).eq(…){sort}, got conditions on {', '.join(names) or 'none'}"
        )
    found = dict(parts)
    if found[keys.partition][0] != "=":
        raise InvalidRequest(f"{keys.partition}: wanted eq for a partition, got {found[keys.partition][0]}")
    return found


def _comparisons(condition: Any) -> list[tuple[str, Part]]:
    if not hasattr(condition, "get_expression"):
        raise InvalidRequest(f"wanted a condition like Key('pk').eq('a'), got {type(condition).__name__}")
    told = condition.get_expression()
    if told["operator"] == "AND":
        return [part for value in told["values"] for part in _comparisons(value)]
    first, *operands = told["values"]
    if told["operator"] not in _TESTS or not hasattr(first, "name"):
        raise InvalidRequest(f"wanted a comparison of a key attribute, got {told['operator']}")
    return [(first.name, (told["operator"], operands))]


_TESTS: Mapping[str, Callable[..., bool]] = {
    "=": lambda value, wanted: bool(value == wanted),
    "<": lambda value, most: bool(value < most),
    "<=": lambda value, most: bool(value <= most),
    ">": lambda value, least: bool(value > least),
    ">=": lambda value, least: bool(value >= least),
    "BETWEEN": lambda value, least, most: bool(least <= value <= most),
    "begins_with": lambda value, prefix: bool(value[: len(prefix)] == prefix),
}


def _holds(part: Part | None) -> Callable[[Any], bool]:
    if part is None:
        return lambda _: True
    sign, operands = part
    return lambda value: _TESTS[sign](value, *operands)
