"""What passes between the delivery state machine and whoever drives it: actions to carry out, outcomes to report back.

The state machine decides; the driver (the trigger, or a simulator) does the I/O. See `delivery.shard`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

LambdaRecord = Mapping[str, Any]


class Condition(StrEnum):
    """Why a batch was given up, as the on-failure message spells it (rules 24 and 25).

    RECORDS_TRIMMED is ours: the records reached the stream's retention while they waited, and no message is sent.
    """

    RETRY_ATTEMPTS_EXHAUSTED = "RetryAttemptsExhausted"
    RECORD_AGE_EXCEEDED = "RecordAgeExceeded"
    RECORDS_TRIMMED = "RecordsTrimmed"


@dataclass(frozen=True, slots=True)
class WindowContext:
    """The tumbling window an invocation belongs to (rule 33). `start` and `end` are unix seconds."""

    start: float
    end: float
    state: Mapping[str, Any]
    is_final: bool = False
    is_terminated_early: bool = False


@dataclass(frozen=True, slots=True)
class Invoke:
    """Invoke the function with these records and report the outcome to `ShardDelivery.answered` under `id`.

    `attempt` counts from 0 and grows only when the identical batch has failed before; `first_attempt_at` is the time
    (unix seconds) the batch was first handed out, throttled attempts included.
    """

    id: int
    slot: int
    records: Sequence[LambdaRecord]
    attempt: int
    first_attempt_at: float
    shard_id: str
    stream_arn: str
    window: WindowContext | None = None

    def event(self) -> dict[str, Any]:
        """The event the function receives, with the window's members when there is one (rules 33 and 34)."""
        event: dict[str, Any] = {"Records": list(self.records)}
        if self.window is not None:
            event |= _window_members(self.window, self.shard_id, self.stream_arn)
        return event


@dataclass(frozen=True, slots=True)
class Discard:
    """Give these records up: send one message to the on-failure destination, if there is one. Needs no answer.

    What was trimmed (see `Condition`) is only lost.
    `invoke_count` is how often the batch was invoked (throttles not counted); `invoke_id` the last invocation, None if
    there was none; `function_error` is "Unhandled" after an exception or a timeout, None after a bad answer.
    """

    slot: int
    records: Sequence[LambdaRecord]
    condition: Condition
    invoke_count: int
    invoke_id: int | None
    function_error: str | None
    shard_id: str
    stream_arn: str


DeliveryAction = Invoke | Discard


@dataclass(frozen=True, slots=True)
class Answered:
    """The function returned `payload`, already decoded from JSON."""

    payload: Any


@dataclass(frozen=True, slots=True)
class FunctionError:
    """The function raised, or ended its process; `kind` is the error's class, for logs only."""

    kind: str = "Unhandled"


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The function ran longer than its `Timeout`."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """The invocation did not start: throttled, or it failed before the function's code ran (rule 18)."""

    reason: str = "Throttled"


InvocationOutcome = Answered | FunctionError | TimedOut | Throttled


def iso_seconds(time: float) -> str:
    """Unix seconds as ISO 8601 with whole seconds and Z."""
    return datetime.fromtimestamp(int(time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _window_members(window: WindowContext, shard_id: str, stream_arn: str) -> dict[str, Any]:
    return {
        "window": {"start": iso_seconds(window.start), "end": iso_seconds(window.end)},
        "state": dict(window.state),
        "shardId": shard_id,
        "eventSourceARN": stream_arn,
        "isFinalInvokeForWindow": window.is_final,
        "isWindowTerminatedEarly": window.is_terminated_early,
    }
