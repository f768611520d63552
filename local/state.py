"""How a command in another terminal finds the running `up`."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import NotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATE = Path(".local/up.json")


@dataclass(frozen=True, slots=True)
class State:
    """Where the running `up` listens, for AWS calls and for commands (`control`), and what its stack made."""

    pid: int
    endpoint: str
    control: str
    dynamodb_endpoint: str | None
    outputs: Mapping[str, str]

    @staticmethod
    def of_this_process(
        endpoint: str, control: str, dynamodb_endpoint: str | None, outputs: Mapping[str, str]
    ) -> State:
        """The state of an `up` that runs in this process."""
        return State(os.getpid(), endpoint, control, dynamodb_endpoint, dict(outputs))


@contextmanager
def announced(state: State) -> Iterator[None]:
    """Keep the state file while the with block runs. Another `up` that began later keeps its own."""
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(asdict(state), indent=2), encoding="utf-8")
    try:
        yield
    finally:
        if _read() == state:
            STATE.unlink(missing_ok=True)


def running() -> State:
    """The running `up`. Raises NotRunningError."""
    state = _read()
    if state is None or not _alive(state.pid):
        raise NotRunningError("nothing is running here: start `make local` in another terminal first")
    return state


def _read() -> State | None:
    try:
        return State(**json.loads(STATE.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
