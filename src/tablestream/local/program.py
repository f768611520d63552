"""How a person calls this program from another terminal: commands to show that work when they are pasted there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hint:
    """A command to try next, and what it does."""

    command: str
    does: str


def python() -> str:
    """The Python that runs this, by a path that works in the current directory."""
    executable = Path(sys.executable)
    here = Path.cwd()
    return str(executable.relative_to(here) if executable.is_relative_to(here) else executable)


def program() -> str:
    """The beginning of each of our commands."""
    return f"{python()} -m tablestream.local"


def command(name: str, arguments: str = "") -> str:
    """One of our commands: by make where make has started us, else by the Python that runs this."""
    if "MAKELEVEL" in os.environ:
        return f'make {name} ARGS="{arguments}"' if arguments else f"make {name}"
    return f"{program()} {name} {arguments}".rstrip()


def start() -> str:
    """The command that runs until it is stopped."""
    return "make local" if "MAKELEVEL" in os.environ else f"{program()} up"
