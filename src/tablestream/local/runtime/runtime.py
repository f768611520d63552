"""A small Lambda runtime: runs a function's handler in child processes, one per invocation in flight."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from tablestream.local.delivery.protocol import Answered, FunctionError, Throttled, TimedOut
from tablestream.local.runtime.child import HandlerTimeoutError, InitError, ProcessEndedError, Request
from tablestream.local.runtime.environments import Environments
from tablestream.local.runtime.function import Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tablestream.local.runtime.child import Child
    from tablestream.local.runtime.function import FunctionSpec


Json = Any  # what an event or an answer holds


class Runtime:
    """Invokes one function, in environments that are started when they are needed and used again.

    `on_log` gets every line the handler writes. With `reload` changed source takes effect (see
    `environments.py`). A handler that overruns the function's timeout, or ends its process, takes down its
    environment only. Invocations above the function's reserved concurrency are throttled.
    """

    def __init__(
        self, function: FunctionSpec, on_log: Callable[[str], None] = lambda _line: None, *, reload: bool = False
    ) -> None:
        self.function = function
        self._environments = {
            version: Environments(function, on_log, version, reload=reload) for version in function.qualifiers.values()
        }
        self._lock = threading.Lock()
        self._running = 0
        self._throttled = 0

    def warm(self, qualifier: str | None = None) -> None:
        """Start one environment ahead of the first invocation, in a thread of its own."""
        warm = self._environments[self.function.version(qualifier)].warm
        threading.Thread(target=warm, name=f"{self.function.logical_id}-warm", daemon=True).start()

    def throttle(self, calls: int) -> None:
        """Throttle the next `calls` invocations; 0 ends it."""
        with self._lock:
            self._throttled = calls

    def invoke(self, event: Json, qualifier: str | None = None) -> Invocation:
        """Run the handler on `event`, as the alias or version `qualifier`.

        Raises nothing of the handler's: see `Invocation.error`. Raises KeyError if there is no such alias or version.
        """
        environments = self._environments[self.function.version(qualifier)]
        arn = self.function.qualified(qualifier)
        request = Request(event, str(uuid.uuid4()), arn, self.function.timeout)
        if not self._enter():
            return Invocation(request.request_id, Throttled())
        try:
            return self._run(request, environments)
        finally:
            with self._lock:
                self._running -= 1

    def close(self) -> None:
        """End all environments, also those in use."""
        for environments in self._environments.values():
            environments.close()

    def _enter(self) -> bool:
        with self._lock:
            if self._throttled > 0:
                self._throttled -= 1
                return False
            limit = self.function.concurrency
            if limit is not None and self._running >= limit:
                return False
            self._running += 1
            return True

    def _run(self, request: Request, environments: Environments) -> Invocation:
        try:
            child = environments.take()
        except InitError as failure:
            return _failed(request, failure.error)
        except (ProcessEndedError, HandlerTimeoutError):
            return _failed(request, _error("Runtime.ExitError", "the process ended while the handler was imported"))
        except OSError as error:
            return Invocation(request.request_id, Throttled(f"no process could be started: {error}"))
        try:
            return self._answer(request, child)
        finally:
            environments.give_back(child)

    def _answer(self, request: Request, child: Child) -> Invocation:
        began = time.monotonic()
        try:
            return _invocation(request, child.invoke(request), time.monotonic() - began)
        except HandlerTimeoutError:
            message = f"Task timed out after {self.function.timeout:.2f} seconds"
            timed_out = _error("Sandbox.Timedout", message)
            return Invocation(request.request_id, TimedOut(), timed_out, time.monotonic() - began)
        except ProcessEndedError:
            message = "the handler ended its process without an answer"
            return _failed(request, _error("Runtime.ExitError", message), time.monotonic() - began)


def _error(kind: str, message: str) -> dict[str, Json]:
    return {"errorType": kind, "errorMessage": message}


def _failed(
    request: Request, error: Mapping[str, Json], seconds: float = 0.0, began: float | None = None
) -> Invocation:
    return Invocation(request.request_id, FunctionError(str(error["errorType"])), error, seconds, began)


def _invocation(request: Request, answer: Mapping[str, Json], seconds: float) -> Invocation:
    if "error" in answer:
        return _failed(request, answer["error"], seconds, answer["began"])
    return Invocation(request.request_id, Answered(json.loads(answer["payload"])), None, seconds, answer["began"])
