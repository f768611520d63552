"""The name by which logs group an error: enough to tell causes apart, and nothing that somebody wrote."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tablestream.errors import error_class_of
from tablestream.testing import client_error


def aws(code: Any, **more: Any) -> ClientError:
    return client_error(code, "TransactWriteItems", message="for Jane Doe", **more)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("Jane Doe"), "ValueError"),
        (ReadTimeoutError(endpoint_url="https://x"), "ReadTimeoutError"),
        (aws("AccessDeniedException"), "AccessDeniedException"),
        (
            aws(
                "ThrottlingException",
                throttlingReasons=[{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": "arn:Jane"}],
            ),
            "ThrottlingException (TableWriteKeyRangeThroughputExceeded)",
        ),
        (
            aws(
                "ProvisionedThroughputExceededException",
                ThrottlingReasons=[{"reason": "B"}, {"reason": "A"}, {"reason": "B"}],
            ),
            "ProvisionedThroughputExceededException (A, B)",
        ),
        (
            aws(
                "TransactionCanceledException",
                CancellationReasons=[{"Code": "None"}, {"Code": "ThrottlingError", "Message": "Jane"}, {}],
            ),
            "TransactionCanceledException (ThrottlingError)",
        ),
        (aws("TransactionCanceledException", CancellationReasons=[{"Code": "None"}]), "TransactionCanceledException"),
        (aws("ThrottlingException", ThrottlingReasons=[{"reason": "of Jane Doe"}]), "ThrottlingException"),
        (aws("Jane Doe"), "ClientError"),
        (aws("x" * 101), "ClientError"),
        (aws(None), "ClientError"),
        (aws("ThrottlingException", ThrottlingReasons=7), "ClientError"),
    ],
)
def test_an_error_of_aws_is_named_by_its_codes(error: Exception, name: str) -> None:
    assert error_class_of(error) == name


@pytest.mark.parametrize("response", [None, "text", {}, {"Error": None}, {"Error": []}])
def test_an_error_with_another_kind_of_answer_is_named_by_its_class(response: object) -> None:
    error = ValueError("Jane Doe")
    error.response = response  # type: ignore[attr-defined]
    assert error_class_of(error) == "ValueError"
