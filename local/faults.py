"""Faults on demand: errors the embedded AWS answers instead of doing the call."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
Json = Any  # what a request's body holds


@dataclass(frozen=True, slots=True)
class Fault:
    """DynamoDB's `operation` (e.g. TransactWriteItems) answers `error` when its request mentions `mentioning`.

    `error` is ThrottlingException, ProvisionedThroughputExceededException, InternalServerError or another error name of
    the API. TransactionConflict is answered as DynamoDB does: a TransactionCanceledException whose reasons name the
    conflict for the items that mention `mentioning`.
    """

    operation: str
    error: str
    mentioning: str = ""

    def hits(self, operation: str, body: str) -> bool:
        """Whether this call gets the error."""
        return operation == self.operation and self.mentioning in body


class Faults:
    """WSGI middleware that answers with the faults switched on. Counts what it answered (`answered`)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._active: list[tuple[Fault, list[int]]] = []
        self.answered = 0

    @contextmanager
    def during(self, fault: Fault) -> Iterator[None]:
        """`fault` is on within the with block."""
        entry = self.inject(fault)
        try:
            yield
        finally:
            with self._lock:
                self._active = [active for active in self._active if active is not entry]

    def inject(self, fault: Fault, times: int = -1) -> tuple[Fault, list[int]]:
        """Switch `fault` on for the next `times` matching calls (-1: without end)."""
        entry = (fault, [times])
        with self._lock:
            self._active.append(entry)
        return entry

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if not self._active or not target.startswith("DynamoDB_"):
            return self._app(environ, start_response)
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(raw)
        body = raw.decode("utf-8")
        if (fault := self._take(target.split(".", 1)[1], body)) is None:
            return self._app(environ, start_response)
        return _answer(fault, body, start_response)

    def _take(self, operation: str, body: str) -> Fault | None:
        with self._lock:
            for fault, left in self._active:
                if left[0] != 0 and fault.hits(operation, body):
                    left[0] -= 1 if left[0] > 0 else 0
                    self.answered += 1
                    return fault
        return None


def _answer(fault: Fault, body: str, start_response: StartResponse) -> Iterable[bytes]:
    payload: dict[str, Any] = {"message": "injected"}
    name = fault.error
    if name == "TransactionConflict":
        name = "TransactionCanceledException"
        items = json.loads(body).get("TransactItems", [])
        payload["CancellationReasons"] = [_reason(fault, item) for item in items]
    server_side = name in ("InternalServerError", "InternalFailure", "ServiceUnavailable")
    payload["__type"] = f"com.amazonaws.dynamodb.v20120810#{name}"
    status = "500 Internal Server Error" if server_side else "400 Bad Request"
    start_response(status, [("Content-Type", "application/x-amz-json-1.0")])
    return [json.dumps(payload).encode()]


def _reason(fault: Fault, item: Json) -> dict[str, str]:
    if fault.mentioning in json.dumps(item):
        return {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    return {"Code": "None"}
