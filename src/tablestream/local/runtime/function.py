"""A function as its runtime needs it, and one invocation of it as it ended: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tablestream.local.delivery.protocol import Answered, InvocationOutcome

Json = Any  # what an event or an answer holds
LATEST = "$LATEST"
DEFAULT_TIMEOUT_SECONDS = 3  # Lambda's own defaults
DEFAULT_MEMORY_MB = 128


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the template configures it: `code` is a directory, `timeout` in seconds, `memory` in MB.

    `runtime` is Lambda's name of it; `layers` are folders from which it imports what its own has not; `concurrency` is
    how many invocations may run at a time (ReservedConcurrentExecutions), None is no limit.
    `qualifiers` are the versions behind the names with which it may be invoked: its aliases and version numbers.
    """

    logical_id: str
    name: str
    arn: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    memory: int = DEFAULT_MEMORY_MB
    concurrency: int | None = None
    runtime: str = ""
    layers: tuple[Path, ...] = ()
    qualifiers: Mapping[str, str] = field(default_factory=lambda: {LATEST: LATEST})

    def qualified(self, qualifier: str | None) -> str:
        """The ARN that invokes this alias or version, or with None the one without either."""
        return self.arn if qualifier is None else f"{self.arn}:{qualifier}"

    def version(self, qualifier: str | None) -> str:
        """The version that this alias or version number stands for. Raises KeyError if there is none such."""
        return LATEST if qualifier is None else self.qualifiers[qualifier]


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation that ended: `outcome` for the delivery, `error` as Lambda answers it. `seconds` it took.

    `began` is when the handler was entered, in unix seconds; None if it was not, or did not get to say so.
    """

    request_id: str
    outcome: InvocationOutcome
    error: Mapping[str, Json] | None = None
    seconds: float = 0.0
    began: float | None = None

    @property
    def payload(self) -> Json:
        """The value that the handler returned; None if it did not."""
        return self.outcome.payload if isinstance(self.outcome, Answered) else None
