"""The errors of AWS, as botocore raises them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

_ENDPOINT = "https://aws.test/"


def client_error(code: str, operation: str, message: str = "", status: int = 400, **extra: object) -> ClientError:
    """An error answer of a service."""
    response: Any = {
        "Error": {"Code": code, "Message": message or code},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 0},
        **extra,
    }
    return ClientError(response, operation)


def invalid(operation: str, message: str) -> ClientError:
    return client_error("ValidationException", operation, message)


def cancelled(reasons: Sequence[dict[str, Any]]) -> ClientError:
    """A cancelled transaction, with a reason for each action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return client_error(
        "TransactionCanceledException", "TransactWriteItems", message, CancellationReasons=list(reasons)
    )


def timed_out() -> Exception:
    """What a client raises when it has waited for an answer for as long as it waits."""
    return ReadTimeoutError(endpoint_url=_ENDPOINT)


def no_answer(kind: int) -> Exception:
    """What a caller sees who does not learn whether the request took effect."""
    if kind == 0:
        return timed_out()
    if kind == 1:
        return ConnectionClosedError(endpoint_url=_ENDPOINT)
    return client_error("InternalServerError", "Any", status=500)
