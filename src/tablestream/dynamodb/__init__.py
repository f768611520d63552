"""DynamoDB without streams, HTTP or a shop: tables, clients, transactions, decisions made once, the journal."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tablestream.dynamodb.actions import (
        Append,
        Check,
        Delete,
        IfAbsent,
        Put,
        ReadyAction,
        Returns,
        TableAction,
        Update,
    )
    from tablestream.dynamodb.batches import Got, Unwritten
    from tablestream.dynamodb.client import connect
    from tablestream.dynamodb.errors import (
        AccessRefused,
        AlreadyExists,
        ConditionFailed,
        Conflict,
        IdempotencyKeyReused,
        InvalidCursor,
        InvalidRequest,
        InvalidValue,
        ItemTooLarge,
        Misconfigured,
        NotFound,
        OutcomeUnknown,
        RaceCondition,
        TableError,
        Throttled,
        TransactionCancelled,
        Unavailable,
        VersionConflict,
    )
    from tablestream.dynamodb.idempotency import IdempotencyKey, IdempotencyKeys, Outcome
    from tablestream.dynamodb.locks import Codec, Held, ItemStore, Lock
    from tablestream.dynamodb.pages import Page
    from tablestream.dynamodb.schema import Index, Nulls
    from tablestream.dynamodb.table import Table

__all__ = [
    "AccessRefused",
    "AlreadyExists",
    "Append",
    "Check",
    "Codec",
    "ConditionFailed",
    "Conflict",
    "Delete",
    "Got",
    "Held",
    "IdempotencyKey",
    "IdempotencyKeyReused",
    "IdempotencyKeys",
    "IfAbsent",
    "Index",
    "InvalidCursor",
    "InvalidRequest",
    "InvalidValue",
    "ItemStore",
    "ItemTooLarge",
    "Lock",
    "Misconfigured",
    "NotFound",
    "Nulls",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Put",
    "RaceCondition",
    "ReadyAction",
    "Returns",
    "Table",
    "TableAction",
    "TableError",
    "Throttled",
    "TransactionCancelled",
    "Unavailable",
    "Unwritten",
    "Update",
    "VersionConflict",
    "connect",
]

_HOMES = {
    "Append": "actions",
    "Check": "actions",
    "Codec": "locks",
    "Delete": "actions",
    "Got": "batches",
    "Held": "locks",
    "IdempotencyKey": "idempotency",
    "IdempotencyKeys": "idempotency",
    "IfAbsent": "actions",
    "Index": "schema",
    "ItemStore": "locks",
    "Lock": "locks",
    "Nulls": "schema",
    "Outcome": "idempotency",
    "Page": "pages",
    "Put": "actions",
    "ReadyAction": "actions",
    "Returns": "actions",
    "Table": "table",
    "TableAction": "actions",
    "Unwritten": "batches",
    "Update": "actions",
    "connect": "client",
}

if not TYPE_CHECKING:  # where it stands, a type checker takes any name for one of this module's

    def __getattr__(name: str) -> Any:
        """Import a name when it is first asked for: a worker needs none of them, and each takes part of its start."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
