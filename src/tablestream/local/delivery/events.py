"""What a shard's delivery did, as values: for the live view, for recordings and for tests.

None of them carries a record: they hold counts and sequence numbers only, so they may be logged.
"""

from __future__ import annotations

from dataclasses import dataclass


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
