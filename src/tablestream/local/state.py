"""How a command in another terminal finds the running `up`."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tablestream.local.errors import NotRunningError
from tablestream.local.program import start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tablestream.local.greeting import About

STATE = Path(".local/up.json")


@dataclass(frozen=True, slots=True)
class State:
    """Where the running `up` listens, for AWS calls and for commands (`control`), and what its stack made.

    `variables` point any AWS SDK at it.
    """

    pid: int
    endpoint: str
    control: str
    dynamodb_endpoint: str | None
    stack: str
    outputs: Mapping[str, str]
    variables: Mapping[str, str]

    @staticmethod
    def of_this_process(told: About, control: str) -> State:
        """The state of an `up` that runs in this process."""
        return State(
            os.getpid(),
            told.endpoint,
            control,
            told.dynamodb_endpoint,
            told.stack,
            dict(told.outputs),
            dict(told.variables),
        )


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
            with suppress(OSError):  # something else is kept there
                STATE.parent.rmdir()


def running() -> State:
    """The running `up`. Raises NotRunningError."""
    state = _read()
    if state is None or not _alive(state.pid):
        raise NotRunningError(f"nothing is running here: start it in another terminal first, with `{start()}`")
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
