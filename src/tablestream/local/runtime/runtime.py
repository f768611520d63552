"""A small Lambda runtime: runs a function's handler in child processes, one per invocation in flight."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from tablestream.local.delivery.protocol import Answered, FunctionError, NotInvoked, TimedOut
from tablestream.local.runtime.child import Child, HandlerTimeoutError, InitError, ProcessEndedError, Request, words_of
from tablestream.local.runtime.function import LATEST, Invocation
from tablestream.local.runtime.language import own_version, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tablestream.local.runtime.function import FunctionSpec


Json = Any  # what an event or an answer holds


class Runtime:
    """Invokes one function, in environments that are started when they are needed and used again.

    `on_log` gets every line the handler writes. With `reload` changed source takes effect (see `Environments`). A
    handler that overruns the function's timeout, or ends its process, takes down its environment only. Invocations
    above the function's reserved concurrency are throttled.
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

    @property
    def throttled(self) -> int:
        """The number of invocations that are still to be throttled."""
        return self._throttled

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
            return Invocation(request.request_id, NotInvoked())
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
            return Invocation(request.request_id, NotInvoked(f"no process could be started: {error}"))
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


WATCH_SECONDS = 0.5  # between two looks at the source files
NOT_IMPORTED = "[ERROR] the handler cannot be imported: "
"""The beginning of the line that tells why, once, before anything is delivered."""
NOT_STARTED = (InitError, HandlerTimeoutError, ProcessEndedError, OSError)
_NO_SOURCES = {"__pycache__", "node_modules"}


class Environments:
    """The execution environments of a version of a function: child processes, started when needed and used again.

    Each is lent to one invocation at a time; safe to use from several threads.

    With `reload` the source is watched. When it changes, the new code is imported at once: if that works it replaces
    the old, if not the error is told to `on_log` and the children that run the old code go on.
    """

    def __init__(
        self, function: FunctionSpec, on_log: Callable[[str], None], version: str = LATEST, *, reload: bool = False
    ) -> None:
        self._function = function
        self._version = version
        self._on_log = on_log
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._idle: list[Child] = []
        self._busy: dict[Child, int] = {}
        self._generation = 0
        self._closed = threading.Event()
        self._reload = reload
        self._used = False
        self._source = code_version(function.code, sources(function.runtime)) if reload else 0
        if reload:
            threading.Thread(target=self._watch, name=f"{function.logical_id}-reload", daemon=True).start()

    def warm(self) -> None:
        """Start one environment ahead of the first invocation; `on_log` gets what goes wrong."""
        try:
            child = self.take()
        except NOT_STARTED as error:
            if not self._closed.is_set():
                self._on_log(f"{NOT_IMPORTED}{_told(error)}{_way_out(error, self._function.runtime)}")
            return
        self.give_back(child)

    def take(self) -> Child:
        """An environment that nobody else uses. Raises InitError, HandlerTimeoutError, ProcessEndedError, OSError."""
        self._used = True
        if self._reload:
            self.renew()
        if (idle := self._take_idle()) is not None:
            return idle
        generation = self._generation
        child = Child(self._function, self._version, self._on_log)
        with self._lock:
            self._busy[child] = generation
        return child

    def give_back(self, child: Child) -> None:
        """End the use of an environment; it is kept if it lives and runs the newest code."""
        with self._lock:
            generation = self._busy.pop(child, -1)
            keep = child.alive and generation == self._generation and not self._closed.is_set()
            if keep:
                self._idle.append(child)
        if not keep:
            child.close()

    def renew(self) -> None:
        """Import the code anew if it was used, and a source file has changed since it was looked at last."""
        with self._renewing:
            source = code_version(self._function.code, sources(self._function.runtime))
            if source == self._source or not self._used or self._closed.is_set():
                return
            self._source = source
            try:
                child = Child(self._function, self._version, self._on_log)
            except NOT_STARTED as error:
                self._on_log(f"source changed, but cannot be imported: {_told(error)}. What ran before goes on")
                return
            self._replace(child)
        self._on_log("source changed: the handler is imported anew")

    def close(self) -> None:
        """End all environments, also those in use."""
        self._closed.set()
        with self._lock:
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for child in idle:
            child.close()
        for child in busy:
            child.kill()  # the thread that waits for its answer closes it

    def _take_idle(self) -> Child | None:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    self._busy[child] = self._generation
                    return child
                child.close()
        return None

    def _replace(self, child: Child) -> None:
        with self._lock:
            self._generation += 1
            outdated, self._idle = self._idle, [child]
        for old in outdated:
            old.close()

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            self.renew()


def code_version(folder: Path, endings: tuple[str, ...] = (".py",)) -> int:
    """A number that changes when a source file below `folder` is written, added or removed."""
    return hash(frozenset(_stamps(folder, endings)))


def _stamps(folder: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NO_SOURCES]
        for name in files:
            if name.endswith(endings):
                path = os.path.join(where, name)  # noqa: PTH118 -- walked twice a second: plain text is five times faster
                try:
                    yield path, os.stat(path).st_mtime_ns  # noqa: PTH116 -- likewise
                except FileNotFoundError:
                    continue  # an editor replaces files by renaming


def _told(error: Exception) -> str:
    """An import's error in a line: its class, message and place, or how the process ended."""
    if not isinstance(error, InitError):
        return "the process ended" if isinstance(error, ProcessEndedError) else "it took too long"
    return words_of(error.error)


def _way_out(error: Exception, runtime: str) -> str:
    """Advice against an import's error; `runtime` is the function's as Lambda names it."""
    kind = error.error["errorType"] if isinstance(error, InitError) else ""
    ours = own_version(runtime)
    if kind in {"ModuleNotFoundError", "Runtime.ImportModuleError"}:
        return (
            ". What it imports must lie in its directory, where `sam build` puts it, or be installed where this runs; "
            "--install does that for its requirements.txt"
        )
    if kind in {"SyntaxError", "ImportError"} and runtime not in {"", ours}:
        return f". Its Runtime is {runtime}, here it runs with {ours}"
    return ""
