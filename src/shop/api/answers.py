"""Answers as they are written from items: what of an item a caller sees, pages, and the errors' shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aws_lambda_powertools.event_handler import Response

from shop.api.json_text import write
from shop.api.problems import Problem
from tablestream.dynamodb import Page

HIDDEN = frozenset({"pk", "sk", "GSI1PK", "GSI1SK", "entityType", "ttl"})
"""Attributes that are there for the table, not for those who read it."""
JSON = "application/json"
Answer = Response[str]


class Endpoint(NamedTuple):
    """A route: its method and path, the method of the shop that answers it, and what its answers are."""

    method: str
    path: str
    run: Any
    answers: str
    """The name of the good answer's schema in the OpenAPI document."""
    status: int = 200
    errors: tuple[tuple[int, str], ...] = ()
    """The statuses and codes of the errors that it may have beside those that every route may have."""
    also: tuple[int, str] | None = None
    """Another status with which the good answer may come, and when it does."""


NOT_FOUND = (404, "NOT_FOUND")
ALREADY_EXISTS = (409, "ALREADY_EXISTS")
VERSION_CONFLICT = (409, "VERSION_CONFLICT")
CONDITION_FAILED = (409, "CONDITION_FAILED")
RACE_CONDITION = (409, "RACE_CONDITION")
ILLEGAL_TRANSITION = (409, "ILLEGAL_TRANSITION")
INVALID_CURSOR = (400, "INVALID_CURSOR")
INSUFFICIENT_INVENTORY = (409, "INSUFFICIENT_INVENTORY")
IDEMPOTENCY_KEY_REUSED = (422, "IDEMPOTENCY_KEY_REUSED")


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a caller sees of an item: a user without tags has an empty list of them."""
    seen = {name: value for name, value in item.items() if name not in HIDDEN}
    if item.get("entityType") == "User":
        seen.setdefault("tags", [])
    return seen


def answer(value: Any, status: int = 200) -> Answer:
    """Return an answer with a value as JSON."""
    return Response(status, JSON, write(value))


def page_of(page: Page, *, suffix: str = "") -> dict[str, Any]:
    """Return a page of items as a caller sees it; the suffix goes with the cursor."""
    items = [shown(item) for item in page.items]
    cursor = None if page.cursor is None else f"{page.cursor}{suffix}"
    return {"items": items, "count": len(items), "nextCursor": cursor, "hasMore": cursor is not None}


def chosen(item: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return some attributes of a user, in the order in which they were asked for."""
    seen = {**shown(item), "tags": item.get("tags", [])}
    return {name: seen[name] for name in dict.fromkeys(fields) if name in seen}


def refusal(problem: Problem, request_id: str) -> Answer:
    """Return the answer that tells of a problem."""
    told = {"error": problem.text, "code": problem.code, "requestId": request_id, **problem.more}
    if problem.current is not None:
        told["current"] = shown(problem.current)
    return Response(problem.status, JSON, write(told), headers=problem.headers)


def required(fields: Iterable[str] | None) -> tuple[str, ...]:
    """Return the attributes to read for the fields of a user: none for all, and always one that every user has."""
    return tuple(dict.fromkeys([*fields, "userId"])) if fields else ()
