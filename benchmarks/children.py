"""A contender in a process of its own: one JSON line in, one JSON line out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


class Child:
    """A process that answers questions."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**clean_environment(), **(environment or {})},
        )
        self.pid = self._process.pid

    def ask(self, **question: object) -> dict[str, Any]:
        """Ask, and wait for the answer; raises `RuntimeError` when the process has ended instead."""
        if self._process.stdin is None or self._process.stdout is None:  # pragma: no cover -- both are pipes
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"wanted an answer of {self._process.args!r}, got its end, status {self._process.wait()}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def clean_environment() -> dict[str, str]:
    """Return the environment less what would change the Python or the AWS that a contender finds."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "POWERTOOLS"))}
