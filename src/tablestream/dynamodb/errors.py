"""Errors of AWS by what they mean for the call that met them, and the errors that a `Table` raises.

One table leads from error codes to kinds. A `Table` raises, by kind and by the condition that did not hold:

TableError
├── ConditionFailed        the item is not as it was wanted; `item` is the item as it is
│   ├── AlreadyExists      there is one already
│   ├── NotFound           there is none
│   └── VersionConflict    its version is another one
├── TransactionCancelled   no action has taken effect; `reasons` has an error, or None, for each of them
├── IdempotencyKeyReused   the key was used for another request
├── RaceCondition          somebody else has changed what is under the lock, or its time is over
├── Unavailable            the same may succeed later
│   ├── Throttled          too many requests, also after retries
│   └── Conflict           somebody else's transaction is under way on the item
├── OutcomeUnknown         the answer to a write was lost: it may have taken effect
├── InvalidRequest         the request can never succeed
│   ├── InvalidValue       a value that DynamoDB has no type for; `path` is its place
│   ├── ItemTooLarge       more than 400 KB; `size` is the item's, None where DynamoDB found it
│   └── InvalidCursor      no cursor of this index, direction and condition
└── Misconfigured          the table, its settings, the region, the credentials are at fault
    └── AccessRefused      permissions or credentials
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as ConnectionProblem

from tablestream.errors import TablestreamError, error_class_of


class ErrorKind(Enum):
    """The kinds of error, by what to do about them."""

    CONFLICT = "conflict"
    """Somebody else is changing the same item: wait and try again."""
    THROTTLE = "throttle"
    """Too many requests: wait and try again."""
    AMBIGUOUS = "ambiguous"
    """The call may have taken effect, nobody knows: send the same again, under the same idempotency token."""
    INVALID = "invalid"
    """The request can never succeed: what is in it is at fault."""
    CONFIGURATION = "configuration"
    """Permissions, names or limits of the account are at fault, not the request: trying again at once is no use."""


HOPELESS = frozenset({ErrorKind.INVALID, ErrorKind.CONFIGURATION})
"""To try again at once is no use."""

_KINDS: dict[str, ErrorKind] = {
    "TransactionConflict": ErrorKind.CONFLICT,
    "TransactionConflictException": ErrorKind.CONFLICT,
    "ReplicatedWriteConflictException": ErrorKind.CONFLICT,
    "ThrottlingError": ErrorKind.THROTTLE,
    "ThrottlingException": ErrorKind.THROTTLE,
    "Throttling": ErrorKind.THROTTLE,
    "ThrottledException": ErrorKind.THROTTLE,
    "Throttled": ErrorKind.THROTTLE,
    "TooManyRequestsException": ErrorKind.THROTTLE,
    "RequestLimitExceeded": ErrorKind.THROTTLE,
    "ProvisionedThroughputExceeded": ErrorKind.THROTTLE,
    "ProvisionedThroughputExceededException": ErrorKind.THROTTLE,
    "LimitExceededException": ErrorKind.THROTTLE,
    "KMSThrottling": ErrorKind.THROTTLE,
    "KMSThrottlingException": ErrorKind.THROTTLE,
    "TransactionInProgressException": ErrorKind.AMBIGUOUS,
    "InternalServerError": ErrorKind.AMBIGUOUS,
    "InternalServerErrorException": ErrorKind.AMBIGUOUS,
    "InternalError": ErrorKind.AMBIGUOUS,
    "InternalFailure": ErrorKind.AMBIGUOUS,
    "ServiceUnavailable": ErrorKind.AMBIGUOUS,
    "ServiceUnavailableException": ErrorKind.AMBIGUOUS,
    "RequestTimeout": ErrorKind.AMBIGUOUS,
    "RequestTimeoutException": ErrorKind.AMBIGUOUS,
    "ValidationError": ErrorKind.INVALID,
    "ValidationException": ErrorKind.INVALID,
    "SerializationException": ErrorKind.INVALID,
    "ItemCollectionSizeLimitExceeded": ErrorKind.INVALID,
    "ItemCollectionSizeLimitExceededException": ErrorKind.INVALID,
    "InvalidParameter": ErrorKind.INVALID,
    "InvalidParameterException": ErrorKind.INVALID,
    "InvalidParameterValue": ErrorKind.INVALID,
    "ParameterValueInvalid": ErrorKind.INVALID,
    "AuthorizationError": ErrorKind.CONFIGURATION,
    "NotFound": ErrorKind.CONFIGURATION,
    "EndpointDisabled": ErrorKind.CONFIGURATION,
    "InvalidSecurity": ErrorKind.CONFIGURATION,
    "KMSAccessDenied": ErrorKind.CONFIGURATION,
    "KMSDisabled": ErrorKind.CONFIGURATION,
    "KMSInvalidState": ErrorKind.CONFIGURATION,
    "KMSNotFound": ErrorKind.CONFIGURATION,
    "KMSOptInRequired": ErrorKind.CONFIGURATION,
    "BatchRequestTooLong": ErrorKind.INVALID,
    "AWS.SimpleNotificationService.BatchRequestTooLong": ErrorKind.INVALID,
}


def kind_of_code(code: str, default: ErrorKind = ErrorKind.CONFIGURATION) -> ErrorKind:
    """Return the kind of an error code, `default` when it is not listed.

    By default a code that is not listed is not held against the record: AccessDeniedException,
    ResourceNotFoundException, ExpiredTokenException and their like are configuration, and the record may succeed
    once that is put right.
    """
    return _KINDS.get(code, default)


_ON_THE_WAY = (HTTPClientError, ConnectionProblem, IncompleteReadError, ChecksumError)
"""What botocore raises of its own when a connection breaks or times out, which says nothing about whether the request
had arrived. What else it raises keeps it from sending at all: no credentials, no region, no endpoint."""


def kind_of(error: Exception) -> ErrorKind:
    """Return the kind of an error that a call raised.

    Whatever is not known counts as `AMBIGUOUS`: an answer that cannot be read (`ResponseParserError`, `KeyError`,
    `UnicodeDecodeError`) says nothing about what became of the request.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        fallback = ErrorKind.AMBIGUOUS if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ErrorKind.CONFIGURATION
        return kind_of_code(code_of(error), fallback)
    if isinstance(error, ParamValidationError):
        return ErrorKind.INVALID
    if isinstance(error, BotoCoreError) and not isinstance(error, _ON_THE_WAY):
        return ErrorKind.CONFIGURATION
    return ErrorKind.AMBIGUOUS


class UnreadableAnswerError(Exception):
    """An answer that the service would not give: nobody knows what became of the call."""


class Failed(NamedTuple):
    """A whole call failed; nothing of it is known to have taken effect."""

    error: Exception
    kind: ErrorKind


def code_of(error: ClientError) -> str:
    """Return the error code that AWS gave."""
    return str(error.response.get("Error", {}).get("Code", ""))


CANCELLED = "TransactionCanceledException"
"""The code of a transaction that has not taken effect."""
CONDITION_FAILED = "ConditionalCheckFailed"
"""The code of a reason: a condition did not hold."""


class CancellationReason(NamedTuple):
    """The reason against an action of a transaction."""

    code: str
    told: str
    """The words of AWS, which may quote keys and values."""
    item: Any
    """The item as it was, with type tags; None when there is none, or the service did not return it."""

    @property
    def kind(self) -> ErrorKind:
        """The kind of the reason; that of a condition, and of a code that is not known, is configuration."""
        return kind_of_code(self.code)


def cancellation_reasons(answer: Mapping[str, Any], count: int) -> list[CancellationReason | None]:
    """Return the reason against each of so many actions, None for one that has none.

    Where the answer has any other number of reasons nobody knows whose they are, and there is none for any action.
    """
    told = answer.get("CancellationReasons") or ()
    if len(told) != count:
        return [None] * count
    return [_reason(reason) for reason in told]


def _reason(told: Mapping[str, Any]) -> CancellationReason | None:
    code = str(told.get("Code") or "None")
    return None if code == "None" else CancellationReason(code, str(told.get("Message")), told.get("Item") or None)


# --- errors of a table -----------------------------------------------------------------------------------------------


class TableError(TablestreamError):
    """Base of what a `Table` raises. Its text holds no key and no value, so it can be logged."""

    told: str = ""
    """The words of AWS, where there are some. They may quote keys and values: not for logs, not for answers."""


class ConditionFailed(TableError):
    """The condition did not hold, and nothing was written."""

    def __init__(self, message: str, item: dict[str, Any] | None = None) -> None:
        """Take the item as it is, None where there is none."""
        super().__init__(message)
        self.item = item


class AlreadyExists(ConditionFailed):
    """There is an item with this key."""


class NotFound(ConditionFailed):
    """There is no item with this key."""


class VersionConflict(ConditionFailed):
    """Somebody else has changed the item: its version is not the one that was read."""


class TransactionCancelled(TableError):
    """No action of the transaction has taken effect."""

    def __init__(self, message: str, reasons: tuple[TableError | None, ...] = ()) -> None:
        """Take an error for each action, in their order, None for an action that has nothing against it."""
        super().__init__(message)
        self.reasons = reasons

    @property
    def failed(self) -> tuple[int, ...]:
        """The places of the actions that were refused."""
        return tuple([place for place, reason in enumerate(self.reasons) if reason is not None])


class IdempotencyKeyReused(TableError):
    """An idempotency key is known, and was used for another request. Nothing was written."""


class RaceCondition(TableError):
    """Somebody else has changed what is under a lock, or the lock's time is over. Nothing was written."""


class Unavailable(TableError):
    """The call did not succeed now; the same may succeed later."""


class Throttled(Unavailable):
    """Too many requests, and the retries are used up. Nothing was written."""


class Conflict(Unavailable):
    """A transaction of somebody else is under way on the item. Nothing was written."""


class OutcomeUnknown(TableError):
    """The answer was lost: the write may have taken effect. It was not sent again where that could do it twice.

    It is no `Unavailable`: who tries that again must not try this again without a look.
    """


class InvalidRequest(TableError):
    """The request can never succeed as it is."""


class InvalidValue(InvalidRequest, TypeError, ValueError):
    """DynamoDB has no type for a value; nothing was sent."""

    path: str = ""
    """The place of the value, as `items[2].price`."""


class ItemTooLarge(InvalidRequest):
    """The item would take more than 400 KB."""

    def __init__(self, message: str, size: int | None = None) -> None:
        """Take the item's size in bytes, None where only DynamoDB knows it."""
        super().__init__(message)
        self.size = size


class InvalidCursor(InvalidRequest):
    """The cursor is none of this index and direction, or names no place within the condition."""


class Misconfigured(TableError):
    """The table, its settings, the region, the endpoint or the credentials are at fault, not the request."""


class AccessRefused(Misconfigured):
    """The credentials are not taken, or they do not permit the call."""


_CLASSES: dict[ErrorKind, type[TableError]] = {
    ErrorKind.CONFLICT: Conflict,
    ErrorKind.THROTTLE: Throttled,
    ErrorKind.AMBIGUOUS: Unavailable,
    ErrorKind.INVALID: InvalidRequest,
    ErrorKind.CONFIGURATION: Misconfigured,
}
_CLASSES_BY_CODE: dict[str, type[TableError]] = {
    "AccessDeniedException": AccessRefused,
    "AccessDenied": AccessRefused,
    "ExpiredTokenException": AccessRefused,
    "IncompleteSignatureException": AccessRefused,
    "InvalidSignatureException": AccessRefused,
    "MissingAuthenticationTokenException": AccessRefused,
    "UnrecognizedClientException": AccessRefused,
    "NoCredentialsError": AccessRefused,
    "IdempotentParameterMismatchException": InvalidRequest,
}
"""What a kind does not tell apart."""
_TOO_LARGE = "Item size"
"""How DynamoDB begins to say that an item is too large, or what an update would make of it."""


def table_error(code: str, kind: ErrorKind, doing: str, told: str = "") -> TableError:
    """Return the error for a code of AWS, or the name of an error's class; `doing` says what was tried."""
    found = _CLASSES_BY_CODE.get(code, _CLASSES[kind])
    if kind is ErrorKind.INVALID and told.startswith(_TOO_LARGE):
        found = ItemTooLarge
    hint = "; `told` of this error has the words of AWS" if told and found is InvalidRequest else ""
    made = found(f"{doing}: {_WORDS.get(found, 'it did not succeed')} ({code}){hint}")
    made.told = told
    return made


_WORDS: dict[type[TableError], str] = {
    Conflict: "another transaction is under way on the item",
    Throttled: "DynamoDB throttles",
    Unavailable: "no answer that says what became of it",
    InvalidRequest: "DynamoDB does not take the request",
    ItemTooLarge: "the item would be larger than 400 KB",
    Misconfigured: "the table, the region or the endpoint is at fault",
    AccessRefused: "the permissions or credentials do not suffice",
}


def table_error_of(failure: Failed, doing: str) -> TableError:
    """Return the error for a call that failed."""
    error = failure.error
    told = str(error.response.get("Error", {}).get("Message", "")) if isinstance(error, ClientError) else str(error)
    return table_error(error_class_of(error), failure.kind, doing, told)
