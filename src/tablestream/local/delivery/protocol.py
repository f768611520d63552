"""Values between the delivery and its driver: actions to carry out, outcomes to report back, and events to show.

The state machine decides; the driver (the trigger, or a simulator) does the I/O. See `delivery.shard`.
Events are for the live view, for recordings and for tests. None of them carries a record: they hold counts and sequence
numbers only, so they may be logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

LambdaRecord = Mapping[str, Any]


class Condition(StrEnum):
    """The reason for which a batch was given up, as the on-failure record spells it (rules 24 and 25).

    RECORDS_TRIMMED is ours: the records reached the stream's retention while they waited, and nothing is sent.
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
class DiscardRecords:
    """Give these records up: send one on-failure record, if there is a destination for it. Needs no answer.

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


DeliveryAction = Invoke | DiscardRecords


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
class NotInvoked:
    """The invocation did not start: throttled, or it failed before the function's code ran (rule 18)."""

    reason: str = "Throttled"


InvocationOutcome = Answered | FunctionError | TimedOut | NotInvoked


@dataclass(frozen=True, slots=True)
class Filtered:
    """`count` offered records matched no filter; the position moves past them (rule 9)."""

    count: int
    at: float


@dataclass(frozen=True, slots=True)
class Invoked:
    """A batch was handed out; `oldest` is the creation time (unix seconds) of its oldest record, if it has any."""

    slot: int
    invoke_id: int
    count: int
    attempt: int
    first: str | None
    last: str | None
    oldest: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Delivered:
    """The whole batch succeeded."""

    slot: int
    invoke_id: int
    count: int
    first: str | None
    last: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Advanced:
    """A partial answer: `done` records are finished, `left` come again from `resume_at` on (rules 13, 14)."""

    slot: int
    invoke_id: int
    done: int
    left: int
    resume_at: str
    at: float


@dataclass(frozen=True, slots=True)
class Retried:
    """The identical batch comes again after `wait` seconds. `reason` is a class of failure, never its text."""

    slot: int
    invoke_id: int
    count: int
    attempt: int
    wait: float
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Split:
    """A failed batch was halved (rules 19, 20)."""

    slot: int
    invoke_id: int
    first_half: int
    second_half: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """`count` records were given up after `invoke_count` invocations (rules 16, 17, 22)."""

    slot: int
    count: int
    condition: str
    invoke_count: int
    first: str | None
    last: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """Everything up to and including `sequence_number` is finished."""

    sequence_number: str
    at: float


@dataclass(frozen=True, slots=True)
class WindowEnded:
    """A tumbling window ended: its final invocation succeeded, or was given up (`lost`) (rule 33)."""

    slot: int
    start: float
    end: float
    early: bool
    lost: bool
    at: float


DeliveryEvent = Filtered | Invoked | Delivered | Advanced | Retried | Split | Discarded | Checkpointed | WindowEnded


@dataclass(frozen=True, slots=True)
class Gathered:
    """Records of a slot that are in no batch yet: they wait for the batching window, which ends at `until`.

    Without that they wait for the batch before them.
    """

    slot: int
    count: int
    until: float | None


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
