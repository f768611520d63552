"""A small Lambda runtime: runs a function's handler in child processes, one per invocation in flight."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.actions import Answered, FunctionError, Outcome, Throttled, TimedOut
from local.child import Child, HandlerTimeoutError, InitError, ProcessEndedError, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.stack import FunctionSpec

Json = Any  # what an event or an answer holds


@dataclass(frozen=True, slots=True)
class Invocation:
    """What came of one invocation: `outcome` for the delivery, `error` as Lambda answers it. `seconds` it took."""

    request_id: str
    outcome: Outcome
    error: Mapping[str, Json] | None = None
    seconds: float = 0.0

    @property
    def payload(self) -> Json:
        """What the handler returned; None if it did not."""
        return self.outcome.payload if isinstance(self.outcome, Answered) else None


class Runtime:
    """Execution environments of one function, started when they are needed and used again.

    `on_log` gets every line the handler writes. With `reload` an environment is replaced before its next invocation
    when a source file has changed. A handler that overruns the function's timeout, or ends its process, takes down
    its environment only.
    """

    def __init__(
        self, function: FunctionSpec, on_log: Callable[[str], None] = lambda _line: None, *, reload: bool = False
    ) -> None:
        self.function = function
        self._on_log = on_log
        self._reload = reload
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._closed = False
        self._version = _version(function) if reload else 0

    def invoke(self, event: Json) -> Invocation:
        """Run the handler on `event`. Raises nothing of the handler's: see `Invocation.error`."""
        request = Request(event, str(uuid.uuid4()), self.function.arn, self.function.timeout)
        try:
            child = self._take()
        except InitError as failure:
            return _failed(request, failure.error)
        except (ProcessEndedError, HandlerTimeoutError):
            return _failed(request, _error("Runtime.ExitError", "the process ended while the handler was imported"))
        except OSError as error:
            return Invocation(request.request_id, Throttled(f"no process could be started: {error}"))
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
        finally:
            self._give_back(child)

    def close(self) -> None:
        """End all environments, also those in use."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for child in idle:
            child.close()
        for child in busy:
            child.kill()  # the thread that waits for its answer closes it

    def _take(self) -> Child:
        self._drop_outdated()
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    self._busy.add(child)
                    return child
                child.close()
        child = Child(self.function, self._on_log)
        with self._lock:
            self._busy.add(child)
        return child

    def _give_back(self, child: Child) -> None:
        with self._lock:
            self._busy.discard(child)
            keep = child.alive and not self._closed
            if keep:
                self._idle.append(child)
        if not keep:
            child.close()

    def _drop_outdated(self) -> None:
        if not self._reload or (version := _version(self.function)) == self._version:
            return
        with self._lock:
            self._version = version
            outdated, self._idle = self._idle, []
        self._on_log("source changed: the handler is imported anew")
        for child in outdated:
            child.close()


def _version(function: FunctionSpec) -> int:
    """A number that changes when a source file is written, added or removed."""
    return hash(frozenset((str(path), path.stat().st_mtime_ns) for path in function.code.rglob("*.py")))


def _error(kind: str, message: str) -> dict[str, Json]:
    return {"errorType": kind, "errorMessage": message}


def _failed(request: Request, error: Mapping[str, Json], seconds: float = 0.0) -> Invocation:
    return Invocation(request.request_id, FunctionError(str(error["errorType"])), error, seconds)


def _invocation(request: Request, answer: Mapping[str, Json], seconds: float) -> Invocation:
    if "error" in answer:
        return _failed(request, answer["error"], seconds)
    return Invocation(request.request_id, Answered(json.loads(answer["payload"])), seconds=seconds)
