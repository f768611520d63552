"""Errors of AWS by what they mean for the call that met them: one table from error codes to kinds."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as ConnectionProblem


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
        fallback = ErrorKind.AMBIGUOUS if status >= 500 else ErrorKind.CONFIGURATION  # noqa: PLR2004 -- HTTP's server errors
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
