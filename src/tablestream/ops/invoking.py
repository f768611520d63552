"""One invocation of the deployed worker, and what its answer says about the records."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from tablestream.change import RawRecord
from tablestream.errors import ConfigurationError, InvalidEvent, NoProgress, SystemicFailure
from tablestream.ops.bucket import Lease
from tablestream.ops.planning import Identity, named
from tablestream.ops.terminal import CommandError, Interrupt, OutcomeUnknownError, StoppedError
from tablestream.run import Backoff, Clock, Deadline


@dataclass(slots=True)
class RateLimit:
    """Lets `rate` records a second pass, evenly. Safe to share between threads. Mutable: it knows when the next may."""

    rate: float
    """Records a second; 0 for no limit."""
    clock: Clock
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, records: int) -> None:
        """Wait until these records may be sent."""
        if self.rate <= 0:
            return
        with self._lock:
            now = self.clock.now()
            at = max(now, self._next)
            self._next = at + records / self.rate
        if at > now:
            self.clock.sleep(at - now)


MAX_REQUEST_BYTES = 6_291_456
"""What Lambda takes in a synchronous invocation (Lambda quotas)."""

REPORT = {"tablestream": {"report": True}}
"""The part of an event that asks the worker to say which records became dead letters."""

_BUSY = {"TooManyRequestsException", "EC2ThrottledException", "ServiceException", "ENILimitReachedException"}
_SPEAKING = {kind.__name__ for kind in (ConfigurationError, InvalidEvent, NoProgress, SystemicFailure)}
"""Errors of the worker whose messages carry no values of a record."""
_DETAIL = 300


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter that the worker has stored."""

    error_class: str
    key: str | None
    """Of its object, where it is one."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Dead letters are stored; every other record below a sequence number is applied.

    The record with that number failed, and of those above, less the dead letters, nothing is known.
    """

    failed_from: int | None = None
    """None: nothing failed."""
    dead_letters: Mapping[Identity, StoredLetter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreported:
    """The worker does not say which records became dead letters."""

    problem: str


@dataclass(frozen=True, slots=True)
class FirstFailed:
    """The record with the lowest sequence number failed; of the others nothing is known."""

    detail: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The invocation failed as a whole; of no record anything is known."""

    error: str
    detail: str = ""


Answer = Reported | Unreported | FirstFailed | Broken
Invoke = Callable[[Sequence[RawRecord]], Answer]


class LambdaClient(Protocol):
    """The part of boto3's Lambda client that is used."""

    def invoke(self, **request: Any) -> Any:
        """Invoke a function."""
        ...


@dataclass(frozen=True, slots=True)
class Invoker:
    """Invokes a function with records, and waits for its answer.

    The client must not repeat calls by itself, and wait longer than the function may run: a second invocation beside
    the first would send notifications twice.
    """

    client: LambdaClient
    function: str
    ready: Callable[[], None]
    """Called right before each try; raises `StoppedError` when nothing more shall be sent."""
    clock: Clock
    backoff: Backoff = Backoff(base=0.5, cap=20.0, tries=8)  # noqa: RUF009 -- has no state

    def __call__(self, records: Sequence[RawRecord]) -> Answer:
        """Invoke with these records.

        Raises `StoppedError` when Lambda cannot be reached or is busy for long, `OutcomeUnknownError` when the
        connection broke.
        """
        payload = json.dumps({"Records": list(records), **REPORT}, separators=(",", ":"), ensure_ascii=True).encode(
            "ascii"
        )
        if len(payload) > MAX_REQUEST_BYTES:
            return Broken("RequestTooLarge", f"{len(payload)} bytes, Lambda takes {MAX_REQUEST_BYTES}")
        return read(self._invoke(payload), self.function)

    def _invoke(self, payload: bytes) -> Any:
        problem = self._try(payload)
        waits = self.backoff.waits(self.clock, Deadline(lambda: float("inf")))
        while isinstance(problem, Exception):
            if next(waits, _USED_UP) is _USED_UP:
                raise StoppedError(f"the function cannot be invoked: {_named(problem)}") from problem
            problem = self._try(payload)
        return problem

    def _try(self, payload: bytes) -> Any:
        self.ready()
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


def read(response: Any, function: str) -> Answer:
    """Read Lambda's response by the rules of partial batch responses; an answer that breaks them is no success."""
    payload = response["Payload"].read()
    try:
        content = json.loads(payload) if payload else None
    except (ValueError, RecursionError):
        return Broken("InvalidAnswer", "the answer is no JSON")
    if response.get("FunctionError"):
        return _error(content)
    if content and not (isinstance(content, dict) and "batchItemFailures" in content):
        return Broken("InvalidAnswer", "wanted batchItemFailures and deadLetters")
    return _reported(content or {}, function)


def _reported(content: Mapping[str, Any], function: str) -> Answer:
    try:
        first = min((int(failure["itemIdentifier"]) for failure in _list(content, "batchItemFailures")), default=None)
        if content.get("deadLetters") is not None:
            return Reported(first, dict(map(_letter, _list(content, "deadLetters"))))
    except (TypeError, KeyError, ValueError):
        return Broken("InvalidAnswer", "wanted batchItemFailures and deadLetters that name records by sequence numbers")
    return Unreported(
        f"{function} does not say which records became dead letters: the deployed worker is older than this tool. "
        "Deploy this version first, or use the tool of that one"
    )


def _list(content: Mapping[str, Any], name: str) -> list[Any]:
    value = content.get(name) or []
    if not isinstance(value, list):
        raise TypeError(f"wanted a list of {name}")
    return value


def _letter(told: Any) -> tuple[Identity, StoredLetter]:
    event_id, number, key = told["eventID"], told["sequenceNumber"], told["key"]
    if not isinstance(event_id, str) or not isinstance(number, str) or not isinstance(key, str | None):
        raise TypeError("wanted text")
    return (event_id, int(number)), StoredLetter(named(told["errorClass"]), key)


def _error(content: object) -> Answer:
    fields = content if isinstance(content, dict) else {}
    error = named(fields.get("errorType"))
    detail = str(fields.get("errorMessage", ""))[:_DETAIL] if error in _SPEAKING else ""
    return FirstFailed(detail) if error == NoProgress.__name__ else Broken(error, detail)


_NAP = 1.0


@dataclass(frozen=True, slots=True)
class Ready:
    """Says whether more may be sent: the operator has not ended the run, and the lease is held."""

    lease: Lease
    interrupt: Interrupt

    def __call__(self) -> None:
        """Raise `StoppedError` when nothing more shall be sent."""
        self.interrupt.check()
        self.lease.confirm()


@dataclass(frozen=True, slots=True)
class WatchfulClock:
    """A clock whose naps are short: between them the lease is kept, and Ctrl-C is noticed."""

    clock: Clock
    ready: Callable[[], None]

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `StoppedError` when nothing more shall be sent."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 0:
            self.clock.sleep(min(left, _NAP))
            self.ready()


def rate_limited(invoke: Invoke, pace: RateLimit) -> Invoke:
    """Return an `Invoke` that waits for its turn."""

    def send(records: Sequence[RawRecord]) -> Answer:
        pace.wait(len(records))
        return invoke(records)

    return send


def proven(invoke: Invoke) -> Invoke:
    """Return the `Invoke` of a worker that says which records became dead letters; it is asked without a record.

    Raises `CommandError` for an older worker, `StoppedError` for one that fails for no record at all.
    """
    answer = invoke([])
    if isinstance(answer, Unreported):
        raise CommandError(answer.problem)
    if isinstance(answer, Broken):
        raise StoppedError(f"the worker fails for a batch of no records: {answer.error} {answer.detail}".rstrip())
    return invoke
