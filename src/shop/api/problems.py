"""Every answer that is an error, and what of the shop's and the table's errors a caller may hear.

An error is `{"error": text, "code": CODE, "requestId": id}`, with `details` for each field that is wrong, or `current`,
the item as it is. Texts are written here: none comes from an exception of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple

from shop.stores.accounts import InsufficientBalance, RecipientNotFound, SenderNotFound
from shop.stores.customer_orders import InsufficientInventory, Shortage
from shop.stores.entity import AlreadyTaken, IllegalTransition
from tablestream.dynamodb import (
    ConditionFailed,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidValue,
    ItemTooLarge,
    NotFound,
    OutcomeUnknown,
    RaceCondition,
    TransactionCancelled,
    Unavailable,
    VersionConflict,
)
from tablestream.dynamodb.items import MAX_ITEM_BYTES

RETRY_SECONDS = 1


class FieldProblem(NamedTuple):
    """A field that is wrong: its path, and what came and what was wanted."""

    field: str
    message: str


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, code: str, text: str, *, more: Mapping[str, Any] | None = None, current: Any = None
    ) -> None:
        """Take the status, the code and the text; `more` members of the answer, and the item as it is."""
        super().__init__(code)
        self.status = status
        self.code = code
        self.text = text
        self.more = more or {}
        self.current = current
        self.headers: dict[str, str] = {}


def invalid(problems: Sequence[FieldProblem]) -> Problem:
    """Return the answer to a request with fields that are wrong: all of them are told at once."""
    details = [problem._asdict() for problem in problems]
    text = details[0]["message"] if len(details) == 1 else f"{len(details)} fields are wrong"
    field = f"{details[0]['field']}: " if len(details) == 1 else ""
    return Problem(400, "VALIDATION_ERROR", f"{field}{text}", more={"details": details})


def not_found(what: str) -> Problem:
    """Return the answer to a request for something that there is not."""
    return Problem(404, "NOT_FOUND", f"There is no such {what}")


def wrong_method(allowed: Sequence[str]) -> Problem:
    """Return the answer to a method that a path does not have."""
    methods = ", ".join(sorted(allowed))
    problem = Problem(405, "METHOD_NOT_ALLOWED", f"This path has {methods}")
    problem.headers["Allow"] = methods
    return problem


def invalid_cursor() -> Problem:
    """Return the answer to a cursor that was not given for the same question."""
    return Problem(400, "INVALID_CURSOR", "The cursor is none that this query gave")


def internal() -> Problem:
    """Return the answer where the fault is ours: it says nothing."""
    return Problem(500, "INTERNAL_ERROR", "Internal server error")


def _conflict(code: str, text: str) -> Callable[[Any], Problem]:
    return lambda error: Problem(409, code, text, current=getattr(error, "item", None))


def _too_large(error: ItemTooLarge) -> Problem:
    size = "more" if error.size is None else f"{error.size} bytes"
    return invalid([FieldProblem("body", f"wanted an item of at most {MAX_ITEM_BYTES} bytes, got {size}")])


def _try_again(text: str) -> Problem:
    """Return the answer to a request that may be sent again as it is."""
    problem = Problem(503, "UNAVAILABLE", text)
    problem.headers["Retry-After"] = str(RETRY_SECONDS)
    return problem


def _unknown(_: OutcomeUnknown) -> Problem:
    """Return the answer where a write may be done: nothing in it asks a client to try again by itself."""
    return Problem(503, "UNAVAILABLE", "The table's answer was lost, and this may be done: look before you try again")


@contextmanager
def sent_under(key: str | None) -> Iterator[None]:
    """Let a request with an idempotency key whose answer was lost be sent again: that does nothing twice."""
    try:
        yield
    except OutcomeUnknown:
        if key is None:
            raise
        raise _try_again("The table's answer was lost: send the same again under the same key") from None


def _shortage(shortage: Shortage) -> dict[str, Any]:
    return {"productId": shortage.product, "wanted": shortage.wanted, "available": shortage.available}


_PROBLEMS: Mapping[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    AlreadyTaken: lambda error: Problem(409, "ALREADY_EXISTS", f"Another item has this {error.attribute}"),
    IllegalTransition: _conflict("ILLEGAL_TRANSITION", "There is no way from the order's status to that one"),
    RaceCondition: lambda _: Problem(409, "RACE_CONDITION", "Somebody else changed the item at the same time"),
    VersionConflict: _conflict("VERSION_CONFLICT", "The item has another version by now"),
    SenderNotFound: lambda _: Problem(404, "SENDER_NOT_FOUND", "There is no such sender"),
    RecipientNotFound: lambda _: Problem(404, "RECIPIENT_NOT_FOUND", "There is no such recipient"),
    InsufficientBalance: lambda _: Problem(409, "INSUFFICIENT_BALANCE", "The sender's balance is less than the amount"),
    InsufficientInventory: lambda error: Problem(
        409,
        "INSUFFICIENT_INVENTORY",
        "There is less in stock than the order wants",
        more={"products": [_shortage(one) for one in error.shortages]},
    ),
    NotFound: lambda _: not_found("item"),
    ConditionFailed: lambda _: Problem(409, "CONDITION_FAILED", "The item is not as the request says"),
    TransactionCancelled: lambda _: Problem(409, "TRANSACTION_CANCELLED", "Another item stood in the way"),
    InvalidCursor: lambda _: invalid_cursor(),
    ItemTooLarge: _too_large,
    InvalidValue: lambda error: invalid([FieldProblem(error.path or "body", "wanted a value that an item can hold")]),
    IdempotencyKeyReused: lambda _: Problem(
        422, "IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key was used for another request"
    ),
    Unavailable: lambda _: _try_again("The table does not answer in time: try again"),
    OutcomeUnknown: _unknown,
}


def problem_of(error: Exception) -> Problem | None:
    """Return what a caller hears of an error, None for one that is a fault of ours."""
    for kind in type(error).__mro__:
        if kind in _PROBLEMS:
            return _PROBLEMS[kind](error)
    return None


# --- fields ----------------------------------------------------------------------------------------------------------

_KINDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    Decimal: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "an object",
}

WRONG_ID = "wanted 1 to 128 of A-Z a-z 0-9 . _ @ -, not dots alone, got something else"
_TOLD: Mapping[str, str] = {
    "missing": "wanted a value, got nothing",
    "extra_forbidden": "wanted no such field, got one",
    "string_pattern_mismatch": WRONG_ID,  # ids are what has a pattern, and a longest length
    "string_too_long": WRONG_ID,
    "int_parsing": "wanted a whole number, got other text",
    "bool_parsing": "wanted true or false, got other text",
}
_WANTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
}
_BOUNDS = frozenset({"greater_than_equal", "less_than_equal", "greater_than", "less_than"})
_SHOWN = 40


def problems_of(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Return what pydantic has against a request, each with the path of the field and the kind of what came."""
    return [FieldProblem(_path_of(error["loc"]), _message_of(error)) for error in errors]


def _message_of(error: Mapping[str, Any]) -> str:
    kind, told = error["type"], str(error["msg"])
    if kind in _TOLD:
        return _TOLD[kind]
    if kind in _WANTED:
        return f"wanted {_WANTED[kind]}, got {kind_of(error.get('input'))}"
    if kind in {"too_short", "too_long"}:
        limits = error["ctx"]
        bound = f"at least {limits['min_length']}" if kind == "too_short" else f"at most {limits['max_length']}"
        return f"wanted {bound}, got {limits['actual_length']}"
    wanted = told.removeprefix("Value error, ").replace("Input should be", "wanted", 1)
    if ", got " in wanted:
        return wanted
    came = error.get("input")
    if kind in _BOUNDS:
        return f"{wanted}, got {str(came)[:_SHOWN]}"
    return f"{wanted}, got {kind_of(came)}"


def kind_of(value: object) -> str:
    """Return the kind of a value, in the words of JSON."""
    return _KINDS.get(type(value), "something else")


def _path_of(place: Sequence[str | int]) -> str:
    """Return the path of a field, as `items[2].quantity`; the first part of a place says where it came from."""
    path = ""
    for part in place[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    if place[0] == "header":
        return path.title()
    return camel(path) if place[0] == "path" else path or "body"


def camel(name: str) -> str:
    """Return the name of a path parameter as callers know it: userId for user_id."""
    first, *others = name.split("_")
    return first + "".join([other.capitalize() for other in others])
