"""One execution environment: a child process that runs a function's handler, one invocation at a time."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tablestream.local.runtime.function import LATEST
from tablestream.local.runtime.language import PYTHON_BOOTSTRAP, command, own_version, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tablestream.local.runtime.function import FunctionSpec


LONGEST_WORDS = 300  # characters of a function's own words about its error
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
READ_BYTES = 65536
MOST_READS = 16  # together as much as a pipe can hold
INIT_SECONDS = 60  # Lambda allows 10 s; a laptop under load may need more, and no test should hang on it


class HandlerTimeoutError(Exception):
    """The handler did not answer in time and was killed."""


class ProcessEndedError(Exception):
    """The process ended without an answer: sys.exit, a crash, or killed by the system for its memory."""


class InitError(Exception):
    """The handler's module could not be imported; `error` is the function error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["errorMessage"])
        self.error = error


@dataclass(frozen=True, slots=True)
class Request:
    """One invocation: `timeout` in seconds, `function_arn` with the alias or version that was named."""

    event: Any
    request_id: str
    function_arn: str
    timeout: float

    def line(self) -> bytes:
        """The request as the child reads it."""
        fields = {name: getattr(self, name) for name in ("event", "request_id", "function_arn", "timeout")}
        return (json.dumps(fields) + "\n").encode()


class Child:
    """Starts the process and waits until the handler is imported.

    Raises InitError, ProcessEndedError or HandlerTimeoutError when it is not.

    Each line the handler prints or logs goes to `on_log` as it comes, and before its invocation's answer.
    """

    def __init__(self, function: FunctionSpec, version: str, on_log: Callable[[str], None]) -> None:
        child_reads, self._requests = os.pipe()
        self._answers, child_writes = os.pipe()
        printed, child_prints = os.pipe()
        self._buffer = b""
        try:
            self._process = _start(function, version, child_reads, child_writes, child_prints)
        finally:
            os.close(child_reads)
            os.close(child_writes)
            os.close(child_prints)
        self._logs = _Logs(printed, on_log)
        self._expect_ready()

    @property
    def alive(self) -> bool:
        """Whether the process can take another request."""
        return self._process.poll() is None

    def invoke(self, request: Request) -> dict[str, Any]:
        """Send one request and wait for the answer: `{"payload": text}` or `{"error": …}`.

        Raises HandlerTimeoutError after `request.timeout` seconds and ProcessEndedError; the child is dead then.
        """
        try:
            _write_all(self._requests, request.line())
        except BrokenPipeError:
            self.close()
            raise ProcessEndedError from None
        return self._answer(request.timeout)

    def kill(self) -> None:
        """End the process from another thread than the one that waits for its answer."""
        _kill(self._process)

    def close(self) -> None:
        """End the process and everything it started. Safe to call twice."""
        if self._requests < 0:
            return
        os.close(self._requests)
        self._requests = -1
        _kill(self._process)
        self._process.wait()
        self._logs.close()
        os.close(self._answers)

    def _expect_ready(self) -> None:
        message = self._answer(INIT_SECONDS)
        if "init_error" in message:
            self.close()
            raise InitError(message["init_error"])

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._line(time.monotonic() + seconds)
        except (HandlerTimeoutError, ProcessEndedError):
            self.close()
            raise
        self._logs.catch_up()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise HandlerTimeoutError
            if not (chunk := os.read(self._answers, READ_BYTES)):
                raise ProcessEndedError
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


class _Logs:
    """Hands on what a process prints, line by line: from a thread of its own, or at once from one that catches up.

    What the process has printed before it writes an answer is in the pipe when the answer is read, but the thread may
    not have got that far.
    """

    def __init__(self, pipe: int, on_log: Callable[[str], None]) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._on_log = on_log
        self._rest = b""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def catch_up(self) -> None:
        """Hand on all that was printed so far, also a last line that has no end."""
        with self._lock:
            for _ in range(MOST_READS):  # one that goes on printing is not waited for
                if not self._read():
                    break
            self._hand_on(*filter(None, [self._rest]))
            self._rest = b""

    def close(self) -> None:
        """Hand on the rest of a process that has ended. One that it has left behind may hold the pipe open."""
        self._thread.join(timeout=2)
        if not self._thread.is_alive():
            os.close(self._pipe)

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            select.select([self._pipe], [], [])
            with self._lock:
                goes_on = self._read() is not False
        self.catch_up()

    def _read(self) -> bool | None:
        """Hand on the lines of one read: True if there was something, None if nothing yet, False at the end."""
        try:
            chunk = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return None
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._hand_on(*lines)
        return bool(chunk)

    def _hand_on(self, *lines: bytes) -> None:
        for line in lines:
            self._on_log(line.decode(errors="replace").rstrip("\r"))


def _start(function: FunctionSpec, version: str, reads: int, writes: int, prints: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(function, reads, writes),
        stdin=subprocess.DEVNULL,
        stdout=prints,
        stderr=subprocess.STDOUT,
        pass_fds=(reads, writes),
        env=environment(function, version),
        cwd=function.code,
        start_new_session=True,  # Ctrl-C is the parent's: it ends its children itself
    )


def environment(function: FunctionSpec, version: str = LATEST) -> dict[str, str]:
    """The child's environment variables: the function's own, and those Lambda always sets."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        **kept,
        "TZ": ":UTC",
        **variables(function),
        "POWERTOOLS_TRACE_DISABLED": "true",  # there is no X-Ray daemon here
        "AWS_XRAY_SDK_ENABLED": "false",
        **function.environment,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{own_version(function.runtime)}",
        "LAMBDA_TASK_ROOT": str(function.code.resolve()),
        "_HANDLER": function.handler,
    }


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def words_of(error: Mapping[str, Any] | None) -> str:
    """A function error in a line: its class, its message and its place; empty for none."""
    if error is None:
        return ""
    message = " ".join(str(error.get("errorMessage", "")).split())
    shortened = message if len(message) <= LONGEST_WORDS else f"{message[:LONGEST_WORDS]}…"
    told = f"{error['errorType']}: {shortened}" if message else str(error["errorType"])
    place = _place_of(error.get("stackTrace") or ())
    return told if not place or place in message else f"{told} {place}"


def _place_of(trace: Sequence[object]) -> str:
    """The place in a stack trace where it was raised, empty if that is in no file or in the machinery that imports."""
    frames = _FRAME.findall("".join(map(str, trace)))
    own = [(PurePath(path).name, line) for path, line in frames if not _imports(path)]
    return f"({own[-1][0]}, line {own[-1][1]})" if own else ""


def _imports(path: str) -> bool:
    return path.startswith("<") or path == str(PYTHON_BOOTSTRAP) or PurePath(path).parent.name == "importlib"
