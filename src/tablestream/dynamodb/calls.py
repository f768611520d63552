"""`Calls`: calls of one client with their retries, within a deadline; what fails is an error of the table's own.

Three tries in all, with full jitter between them, and none that would begin after the deadline. A call that met a
transaction of somebody else is tried for as long as the backoff has delays: that takes milliseconds, and many callers
of one item come one after the other. A call whose answer was lost is sent again only where that cannot do its work
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tablestream.dynamodb.client import attempt, fit_for_tables
from tablestream.dynamodb.errors import (
    CANCELLED,
    ErrorKind,
    Failed,
    Misconfigured,
    OutcomeUnknown,
    TableError,
    Unavailable,
    cancellation_reasons,
    code_of,
    table_error_of,
)
from tablestream.dynamodb.requests.checks import kind_of_value
from tablestream.run import Run

RETRIES = 2
"""Tries after the first one, without those after a conflict."""

Observe = Callable[[str, float], object]
"""Gets the name of an operation and the capacity units that it took; it must not raise."""

_METHODS: Mapping[str, str] = {
    "GetItem": "get_item",
    "PutItem": "put_item",
    "UpdateItem": "update_item",
    "DeleteItem": "delete_item",
    "Query": "query",
    "Scan": "scan",
    "BatchGetItem": "batch_get_item",
    "BatchWriteItem": "batch_write_item",
    "TransactGetItems": "transact_get_items",
    "TransactWriteItems": "transact_write_items",
}
_REFUSALS = frozenset({"ConditionalCheckFailedException", CANCELLED})
_LATER = frozenset({ErrorKind.THROTTLE, ErrorKind.CONFLICT})


class Refused(NamedTuple):
    """DynamoDB refused a write, or a transaction, and says why; `answer` is the error's."""

    answer: Mapping[str, Any]
    error: ClientError


class Calls(NamedTuple):
    """A client, with what an invocation lends to its calls."""

    client: Any
    run: Run
    observe: Observe | None

    @classmethod
    def of(cls, client: Any, run: Run, observe: Observe | None) -> Calls:
        """Fit a client; a double that has no hooks is taken as it is."""
        if hasattr(getattr(client, "meta", None), "client"):
            raise Misconfigured("client: wanted a client of DynamoDB, got a resource; its `meta.client` is one")
        if not any(hasattr(client, method) for method in _METHODS.values()):
            raise Misconfigured(f"client: wanted a client of DynamoDB, got {kind_of_value(client)}")
        if not isinstance(run, Run):
            raise Misconfigured(f"run: wanted a Run, got {kind_of_value(run)}")
        if observe is not None and not callable(observe):
            raise Misconfigured(f"observe: wanted a function, got {kind_of_value(observe)}")
        if hasattr(client, "meta"):
            fit_for_tables(client)
        return cls(client, run, observe)

    def read(self, operation: str, request: Mapping[str, Any], doing: str) -> dict[str, Any]:
        """Make a call that changes nothing; return the answer."""
        answer = self._send(operation, request, doing, repeatable=True, unknown=Unavailable)
        if isinstance(answer, Refused):
            raise table_error_of(Failed(answer.error, _kind_of(answer.answer)), doing) from None
        return answer

    def write(
        self, operation: str, request: Mapping[str, Any], doing: str, *, repeatable: bool
    ) -> dict[str, Any] | Refused:
        """Make a call that changes something; return the answer, or why DynamoDB refused it."""
        return self._send(operation, request, doing, repeatable=repeatable, unknown=OutcomeUnknown)

    def _send(
        self, operation: str, request: Mapping[str, Any], doing: str, *, repeatable: bool, unknown: type[TableError]
    ) -> dict[str, Any] | Refused:
        self.begin(doing)
        call = partial(self.once, operation, request)
        failure: Failed | Refused = Failed(TimeoutError(), ErrorKind.AMBIGUOUS)
        lost, retries = False, RETRIES
        for _ in self.run.attempts():
            answer: dict[str, Any] | Failed = attempt(call)
            if not isinstance(answer, Failed):
                return answer
            failure = _read(answer)
            lost = lost or (isinstance(failure, Failed) and failure.kind is ErrorKind.AMBIGUOUS)
            retries -= not _is_conflict(failure)
            if retries < 0 or not _is_worth_another_try(failure, repeatable=repeatable):
                break
        if isinstance(failure, Refused):
            if not _is_passing(failure):
                return failure
            failure = Failed(failure.error, _kind_of(failure.answer))
        made = table_error_of(failure, doing)
        if not lost:
            raise made from None
        raised = unknown(f"{doing}: the answer was lost, {_LOST[unknown]} ({type(failure.error).__name__})")
        raised.told = made.told
        raise raised from None

    def begin(self, doing: str) -> None:
        """Refuse to begin anything after the deadline."""
        if self.run.deadline.expired:
            raise Unavailable(f"{doing}: the deadline came before the call")

    def once(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Make a call as it is; tell who observes it what it took."""
        if self.observe is not None:
            request = {**request, "ReturnConsumedCapacity": "TOTAL"}
        answer: dict[str, Any] = getattr(self.client, _METHODS[operation])(**request)
        if self.observe is not None:
            told = answer.get("ConsumedCapacity") or []
            parts = [told] if isinstance(told, Mapping) else told
            self.observe(operation, sum([float(part.get("CapacityUnits", 0)) for part in parts]))
        return answer

    # As a client of batches.

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read a batch."""
        return self.once("BatchGetItem", request)

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """Write a batch."""
        return self.once("BatchWriteItem", request)


_LOST: Mapping[type[TableError], str] = {
    OutcomeUnknown: "it may have taken effect",
    Unavailable: "nothing was read",
}


def _read(failed: Failed) -> Failed | Refused:
    error = failed.error
    if isinstance(error, ClientError) and code_of(error) in _REFUSALS:
        answer: Any = error.response
        return Refused(answer, error)
    return failed


def _is_worth_another_try(failure: Failed | Refused, *, repeatable: bool) -> bool:
    if isinstance(failure, Refused):
        return _is_passing(failure)
    return failure.kind in _LATER or (repeatable and failure.kind is ErrorKind.AMBIGUOUS)


def _is_conflict(failure: Failed | Refused) -> bool:
    """Tell whether nothing but transactions of others stood in the way."""
    if isinstance(failure, Refused):
        return code_of(failure.error) == CANCELLED and _kinds_in(failure.answer) == {ErrorKind.CONFLICT}
    return failure.kind is ErrorKind.CONFLICT


def _is_passing(refused: Refused) -> bool:
    """Tell whether a transaction was cancelled for nothing but what passes: conflicts and throttling."""
    return code_of(refused.error) == CANCELLED and _kinds_in(refused.answer) <= _LATER


def _kind_of(answer: Mapping[str, Any]) -> ErrorKind:
    """Return the gravest kind of the reasons for which a transaction was cancelled; a conflict where there is none."""
    kinds = _kinds_in(answer)
    order = (ErrorKind.INVALID, ErrorKind.CONFIGURATION, ErrorKind.CONFLICT, ErrorKind.THROTTLE)
    return next((kind for kind in order if kind in kinds), ErrorKind.CONFLICT)


def _kinds_in(answer: Mapping[str, Any]) -> frozenset[ErrorKind]:
    reasons = cancellation_reasons(answer, len(answer.get("CancellationReasons") or ()))
    return frozenset([reason.kind for reason in reasons if reason is not None])
