"""Errors of AWS as boto3's clients raise them, for doubles of services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError


def client_error(
    code: str, operation: str = "Call", *, message: str = "", status: int = 400, **extra: object
) -> ClientError:
    """Return the error that a client raises for a service's answer.

    Args:
        code: the error's code, such as `ThrottlingException`.
        operation: the operation's name, such as `PutItem`.
        message: the service's words; the code where there are none.
        status: the answer's HTTP status.
        extra: what else the answer says, such as `CancellationReasons` or `Item`.

    """
    response: Any = {
        "Error": {"Code": code, "Message": message or code},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 0},
        **extra,
    }
    return ClientError(response, operation)


def cancelled(reasons: Sequence[Mapping[str, Any]]) -> ClientError:
    """Return the error of a cancelled transaction, with a reason for each action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    code = "TransactionCanceledException"
    return client_error(code, "TransactWriteItems", message=message, CancellationReasons=list(reasons))
