"""Reading what an invocation came to: which part of the batch is finished (rules 10 to 13, 15, 18, 33).

Sources: what counts as success or as failure of the whole batch is documented and recorded against AWS, except where a
comment says inferred (I).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, Throttled, TimedOut


@dataclass(frozen=True, slots=True)
class BatchSucceeded:
    """All of it; `state` is the window's new state, if there is a window."""

    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchFailedFrom:
    """Everything before position `index` in the batch is finished; from there on it is delivered again (rule 13)."""

    index: int
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """The whole batch failed (rule 11). `function_error` as in the on-failure record (rule 24)."""

    reason: str
    function_error: str | None


@dataclass(frozen=True, slots=True)
class BatchNotStarted:
    """Throttled, or failed before the function ran: no attempt used (rule 18)."""

    reason: str


BatchResult = BatchSucceeded | BatchFailedFrom | BatchFailed | BatchNotStarted


class _BadAnswer(Exception):
    """The answer makes the whole batch a failure; the message is the reason."""


def read_outcome(
    outcome: InvocationOutcome, sequence_numbers: Sequence[str], *, report_failures: bool, windowed: bool
) -> BatchResult:
    """Return what came of a batch with these sequence numbers, which are in batch order."""
    match outcome:
        case Throttled(reason):
            return BatchNotStarted(reason)
        case FunctionError(kind):
            return BatchFailed(kind, "Unhandled")
        case TimedOut():
            return BatchFailed("TimedOut", "Unhandled")
        case Answered(payload):
            return _read_payload(payload, sequence_numbers, report_failures=report_failures, windowed=windowed)


def _read_payload(
    payload: object, sequence_numbers: Sequence[str], *, report_failures: bool, windowed: bool
) -> BatchResult:
    try:
        state = _state(payload) if windowed else None
        if not report_failures:
            return BatchSucceeded(state)  # rule 12: the list is ignored
        lowest = _lowest_failure(payload, sequence_numbers)
    except _BadAnswer as bad:
        return BatchFailed(str(bad), None)
    return BatchSucceeded(state) if lowest is None else BatchFailedFrom(lowest, state)


def _state(payload: object) -> Mapping[str, Any]:
    """Rule 33 (D): without `state` the invocation failed. That null or another type counts as missing is I."""
    state = payload.get("state") if isinstance(payload, dict) else None
    if not isinstance(state, dict):
        raise _BadAnswer("MissingState")
    return state


def _lowest_failure(payload: object, sequence_numbers: Sequence[str]) -> int | None:
    """Position of the failed record with the lowest sequence number; None if nothing failed."""
    failures = _failures(payload)
    if not failures:
        return None
    positions = {number: index for index, number in enumerate(sequence_numbers)}
    failed = [_position(entry, positions) for entry in failures]
    # Compared as integers (rule 13): as text, "9" would come after "10".
    return min(failed, key=lambda index: int(sequence_numbers[index]))


def _failures(payload: object) -> Sequence[Any]:
    """The list of failures; empty for every form of success (rule 10)."""
    if payload is None or payload in ("", [], {}):
        return ()
    if not isinstance(payload, dict):
        raise _BadAnswer("NotAnObject")  # I: documented for SQS ("an invalid JSON response"), not for streams
    failures = payload.get("batchItemFailures")
    if failures is None:
        return ()
    if not isinstance(failures, list):
        raise _BadAnswer("NotAList")  # I
    return failures


def _position(entry: object, positions: Mapping[str, int]) -> int:
    """Rule 11 (R): empty, null, under a wrong key or not in the batch: the whole batch failed."""
    identifier = entry.get("itemIdentifier") if isinstance(entry, dict) else None
    if not isinstance(identifier, str) or identifier not in positions:
        raise _BadAnswer("InvalidItemIdentifier")
    return positions[identifier]
