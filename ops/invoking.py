"""One invocation of the deployed worker, and what its answer says about the records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from ops.errors import OutcomeUnknownError, StoppedError
from ops.parked import named
from tablestream.change import RawRecord
from tablestream.errors import InvalidEvent, NoProgress, SystemicFailure
from tablestream.run import Backoff, Clock, Deadline, SystemClock

MAX_REQUEST_BYTES = 6_291_456
"""What Lambda takes in a synchronous invocation (Lambda quotas)."""

_BUSY = {"TooManyRequestsException", "EC2ThrottledException", "ServiceException", "ENILimitReachedException"}
_SPEAKING = {kind.__name__ for kind in (InvalidEvent, NoProgress, SystemicFailure)}
"""Errors of the worker whose messages carry no values of a record."""
_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Settled:
    """Every record is applied, or stored as a dead letter again."""


@dataclass(frozen=True, slots=True)
class From:
    """Every record below this sequence number is settled; this one failed, of those above nothing is known."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Head:
    """The record with the lowest sequence number failed; of the others nothing is known."""

    detail: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The invocation failed as a whole; of no record anything is known."""

    error: str
    detail: str = ""


Answer = Settled | From | Head | Broken
Invoke = Callable[[Sequence[RawRecord]], Answer]


class LambdaApi(Protocol):
    """What is used of boto3's Lambda client."""

    def invoke(self, **request: Any) -> Any:
        """Invoke a function."""
        ...


@dataclass(frozen=True, slots=True)
class Invoker:
    """Invokes a function with records, and waits for its answer.

    The client must not repeat calls by itself, and wait longer than the function may run: a second invocation beside
    the first would send notifications twice.
    """

    client: LambdaApi
    function: str
    clock: Clock = SystemClock()  # noqa: RUF009 -- has no state
    backoff: Backoff = Backoff(base=0.5, cap=20.0, tries=8)  # noqa: RUF009 -- has no state

    def __call__(self, records: Sequence[RawRecord]) -> Answer:
        """Invoke with these records.

        Raises `StoppedError` when Lambda cannot be reached or is busy for long, `OutcomeUnknownError` when the
        connection broke.
        """
        payload = json.dumps({"Records": list(records)}, separators=(",", ":"), ensure_ascii=True).encode("ascii")
        if len(payload) > MAX_REQUEST_BYTES:
            return Broken("RequestTooLarge", f"{len(payload)} bytes, Lambda takes {MAX_REQUEST_BYTES}")
        return read(self._invoke(payload))

    def _invoke(self, payload: bytes) -> Any:
        problem = self._try(payload)
        waits = self.backoff.waits(self.clock, Deadline(lambda: float("inf")))
        while isinstance(problem, Exception):
            if next(waits, _USED_UP) is _USED_UP:
                raise StoppedError(f"the function cannot be invoked: {_named(problem)}") from problem
            problem = self._try(payload)
        return problem

    def _try(self, payload: bytes) -> Any:
        try:
            return self.client.invoke(FunctionName=self.function, InvocationType="RequestResponse", Payload=payload)
        except ClientError as error:
            if _named(error) in _BUSY:
                return error
            raise
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            return error
        except HTTPClientError as error:
            raise OutcomeUnknownError(
                f"the connection broke during an invocation ({type(error).__name__}), so its outcome is not known; "
                "what it was about stays in place, and the same command sends it again"
            ) from error


_USED_UP = object()


def _named(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def read(response: Any) -> Answer:
    """Read Lambda's response by the rules of partial batch responses; an answer that breaks them is no success."""
    payload = response["Payload"].read()
    try:
        content = json.loads(payload) if payload else None
    except ValueError:
        return Broken("InvalidAnswer", "the answer is no JSON")
    if response.get("FunctionError"):
        return _error(content)
    failures = content.get("batchItemFailures") if isinstance(content, dict) else None
    if not content or (isinstance(content, dict) and "batchItemFailures" in content and not failures):
        return Settled()
    try:
        return From(min(int(failure["itemIdentifier"]) for failure in failures or ()))
    except (TypeError, KeyError, ValueError):
        return Broken("InvalidAnswer", "wanted batchItemFailures that name records by sequence numbers")


def _error(content: object) -> Answer:
    fields = content if isinstance(content, dict) else {}
    error = named(fields.get("errorType"))
    detail = str(fields.get("errorMessage", ""))[:_DETAIL] if error in _SPEAKING else ""
    return Head(detail) if error == NoProgress.__name__ else Broken(error, detail)
