"""Calls that nobody answers, as boto3 tells of them."""

from __future__ import annotations

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from tablestream.testing import client_error

_ENDPOINT = "https://aws.test/"


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
