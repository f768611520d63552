"""Deliveries in a file, one JSON object a line: written with `--record`, played again with `--replay`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from tablestream.local.errors import UsageError
from tablestream.local.trigger.observations import Ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tablestream.local.trigger.observations import Observation


@dataclass(frozen=True, slots=True)
class Recorded:
    """One delivery as it was: the event, and the handler's answer or its error."""

    mapping: str
    event: dict[str, Any]
    payload: Any
    error: dict[str, Any] | None


class Recording:
    """Writes each delivery as it ends. Records are written whole: the file holds whatever the items held."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __call__(self, observation: Observation) -> None:
        """Write the observation if it is a delivery."""
        if not isinstance(observation, Ended):
            return
        invoke, invocation = observation.invoke, observation.invocation
        entry = {
            "at": observation.at,
            "mapping": observation.mapping,
            "shard": invoke.shard_id,
            "slot": invoke.slot,
            "attempt": invoke.attempt,
            "event": invoke.event(),
            "payload": invocation.payload,
            "error": invocation.error,
            "seconds": invocation.seconds,
        }
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def read(path: Path) -> Iterator[Recorded]:
    """The deliveries of a file, in order. Raises OSError, and UsageError for a line that is none."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                yield Recorded(entry["mapping"], entry["event"], entry["payload"], entry["error"])
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"{path} line {number} is no recorded delivery: {type(error).__name__}") from error
