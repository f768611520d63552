"""The command `tablestream`: the stack on this machine, and the operator's tools.

tablestream local up        the embedded AWS with the stream trigger, for the template in this folder
tablestream redrive list    dead letters, and what Lambda gave up
tablestream why KEY         the life of one item
tablestream replay …        the items of a table, sent to the worker as if they were new
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tablestream._version import __version__


class _Command(NamedTuple):
    """A command: the module that it runs, the arguments that come first, and the extra that brings what it needs."""

    module: str
    first: tuple[str, ...]
    extra: str
    help: str


_COMMANDS: Mapping[str, _Command] = {
    "local": _Command("tablestream.local.cli.commands", (), "local", "an embedded AWS with the stream trigger"),
    "redrive": _Command("tablestream.ops.__main__", ("redrive",), "ops", "look at dead letters and send them again"),
    "why": _Command(
        "tablestream.ops.__main__", ("why",), "ops", "the life of one item: its changes and what they led to"
    ),
    "replay": _Command("tablestream.ops.__main__", ("replay",), "ops", "send the items of a table to the worker"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return the exit status, 2 for wrong use."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name, *rest = given or ["--help"]
    if name == "--version":
        sys.stdout.write(f"tablestream {__version__}\n")
        return 0
    if name in {"-h", "--help"}:
        sys.stdout.write(_help())
        return 0
    command = _COMMANDS.get(name)
    if command is None:
        sys.stderr.write(f"tablestream: wanted one of {', '.join(_COMMANDS)}, got {name}\n\n{_help()}")
        return 2
    try:
        # Each command imports what it needs when that is needed.
        status: int = importlib.import_module(command.module).main([*command.first, *rest])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "tablestream":
            raise
        install = f"pip install 'tablestream[{command.extra}]'"
        sys.stderr.write(f"tablestream {name} needs {error.name}, which is not installed: {install}\n")
        return 2
    return status


def _help() -> str:
    lines = [f"  {name:9} {command.help}" for name, command in _COMMANDS.items()]
    return "\n".join(["usage: tablestream COMMAND …     (tablestream COMMAND --help)", "", *lines, ""])


if __name__ == "__main__":
    sys.exit(main())
