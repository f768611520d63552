"""`python -m tablestream.local exec`: another program, pointed at the running `up`."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tablestream.local.errors import UsageError
from tablestream.local.state import running

if TYPE_CHECKING:
    from collections.abc import Sequence


def execute(words: Sequence[str]) -> int:
    """Run a program with the variables of the running `up` in place of all `AWS_…`, and return its exit status.

    In its arguments `{stack}` becomes the stack's name, and `{Name}` the output of that name. Raises NotRunningError,
    and UsageError for a program that cannot be started.
    """
    state = running()
    names = {"stack": state.stack, **state.outputs}
    filled = [_filled(word, names) for word in words]
    # A profile or an endpoint of the caller's could else lead to a real account.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    try:
        return subprocess.run(filled, env=kept | dict(state.variables), check=False).returncode  # noqa: S603 -- what the user asked to run
    except OSError as error:
        raise UsageError(f"cannot run {filled[0]}: {error.strerror}") from error


def _filled(word: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(f"{{{name}}}", value)
    return word
