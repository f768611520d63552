"""Faults on demand: errors the embedded AWS answers instead of doing the call."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tablestream.local.http import App, Environ, StartResponse

Json = Any  # what a request's body holds

STATUS = {
    "InternalServerError": "500 Internal Server Error",
    "InternalFailure": "500 Internal Server Error",
    "ServiceUnavailable": "503 Service Unavailable",
}
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
FUNCTION_TOKEN = "function"
"""The session token that functions sign their calls with, and no other program here does."""
_S3_OPERATIONS = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the embedded AWS, as far as faults look at it."""

    service: str
    operation: str
    body: str
    by_function: bool
    in_json: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """`operation` (as TransactWriteItems; "" is any) of `service` answers `error` if its request mentions `mentioning`.

    `error` is ThrottlingException, ProvisionedThroughputExceededException, InternalServerError or another error name of
    the API. TransactionConflict is answered as DynamoDB does: a TransactionCanceledException whose reasons name the
    conflict for the items that mention `mentioning`. With `functions_only` the calls of other programs go through.
    """

    operation: str
    error: str
    mentioning: str = ""
    service: str = "dynamodb"
    functions_only: bool = False

    def hits(self, call: Call) -> bool:
        """Whether this call gets the error."""
        return (
            call.service == self.service
            and self.operation in ("", call.operation)
            and self.mentioning in call.body
            and (call.by_function or not self.functions_only)
        )


@dataclass(slots=True)
class Injected:
    """A fault that is switched on, for `left` more calls (-1: without end) or `until` a time of `time.monotonic`.

    Mutable: `answered` counts the calls that got it.
    """

    fault: Fault
    left: int = -1
    until: float = float("inf")
    answered: int = 0

    @property
    def over(self) -> bool:
        """Whether it answers no more calls."""
        return self.left == 0 or time.monotonic() >= self.until


class Faults:
    """WSGI middleware that answers with the faults switched on. Counts what it answered (`answered`)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._injected: list[Injected] = []
        self.answered = 0

    @contextmanager
    def during(self, fault: Fault) -> Iterator[None]:
        """`fault` is on within the with block."""
        injected = self.inject(fault)
        try:
            yield
        finally:
            injected.left = 0

    def inject(self, fault: Fault, times: int = -1, seconds: float = float("inf")) -> Injected:
        """Switch `fault` on for the next `times` matching calls (-1: without end), at most for `seconds`."""
        injected = Injected(fault, times, time.monotonic() + seconds)
        with self._lock:
            self._injected = [one for one in self._injected if not one.over] + [injected]
        return injected

    def active(self) -> list[Injected]:
        """The faults that are switched on."""
        with self._lock:
            return [one for one in self._injected if not one.over]

    def clear(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._injected.clear()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        if not self._injected or not (service := service_of(environ)):
            return self._app(environ, start_response)
        call = call_of(service, environ)
        if (fault := self._take(call)) is None:
            return self._app(environ, start_response)
        return _answer(fault, call, start_response)

    def _take(self, call: Call) -> Fault | None:
        with self._lock:
            for injected in self._injected:
                if not injected.over and injected.fault.hits(call):
                    injected.left -= 1 if injected.left > 0 else 0
                    injected.answered += 1
                    self.answered += 1
                    return injected.fault
        return None


def service_of(environ: Environ) -> str:
    """By what the request is signed for; reading a stream is the trigger's call and never fails."""
    if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDBStreams_"):
        return ""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["service"] if scope else ""


def call_of(service: str, environ: Environ) -> Call:
    """Read the request's body; it can be read again."""
    # What comes in chunks has no length, and an end of its own.
    length = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    raw = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(raw)
    body = raw.decode("utf-8", "replace")
    return Call(
        service=service,
        operation=_operation(environ, body),
        body=body,
        by_function=environ.get("HTTP_X_AMZ_SECURITY_TOKEN") == FUNCTION_TOKEN,
        in_json="HTTP_X_AMZ_TARGET" in environ,
    )


def _operation(environ: Environ, body: str) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target.split(".", 1)[-1])
    if body.startswith("Action="):
        return parse_qs(body)["Action"][0]
    return _S3_OPERATIONS.get(environ["REQUEST_METHOD"], "")


def _answer(fault: Fault, call: Call, start_response: StartResponse) -> Iterable[bytes]:
    name = fault.error
    status = STATUS.get(name, "400 Bad Request")
    if not call.in_json:
        error = f"<Error><Code>{name}</Code><Message>injected</Message></Error>"
        start_response(status, [("Content-Type", "text/xml")])
        return [(error if call.service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>").encode()]
    payload: dict[str, Any] = {"message": "injected"}
    if name == "TransactionConflict":
        name = "TransactionCanceledException"
        items = json.loads(call.body).get("TransactItems", [])
        payload["CancellationReasons"] = [_reason(fault, item) for item in items]
    payload["__type"] = f"com.amazonaws.dynamodb.v20120810#{name}"
    start_response(status, [("Content-Type", "application/x-amz-json-1.0"), ("x-amzn-RequestId", str(uuid.uuid4()))])
    return [json.dumps(payload).encode()]


def _reason(fault: Fault, item: Json) -> dict[str, str]:
    if fault.mentioning in json.dumps(item):
        return {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    return {"Code": "None"}
