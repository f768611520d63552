"""The operator's commands: `python -m tablestream.ops redrive …`, `… replay …` and `… why …`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from tablestream._version import __version__
from tablestream.ops import discard, listing, redrive, replay_command, why
from tablestream.ops.arguments import add_break_lease, add_filters, add_json, add_resources, add_sending
from tablestream.ops.terminal import CommandError, ExitStatus, InterruptedRunError, StoppedError, Terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status, which `ExitStatus` explains."""
    given = _parser().parse_args(arguments)
    terminal = Terminal(as_json=given.json)
    try:
        status: ExitStatus = given.run(given, terminal)
    except BrokenPipeError:
        _give_up_output()
        return ExitStatus.BROKEN_PIPE
    except KeyboardInterrupt:
        return _ended(terminal, "interrupted", ExitStatus.INTERRUPTED)
    except InterruptedRunError as interrupted:
        return _ended(terminal, f"stopped: {interrupted}", interrupted.status)
    except StoppedError as error:
        return _ended(terminal, f"stopped: {error}", ExitStatus.INCOMPLETE)
    except (CommandError, ClientError, BotoCoreError, OSError) as error:
        return _ended(terminal, f"{given.tool}: {error}", ExitStatus.USAGE)
    return status


def _ended(terminal: Terminal, message: str, status: ExitStatus) -> ExitStatus:
    terminal.warn(message)
    terminal.emit("error", message=message, status=int(status))
    return status


def _give_up_output() -> None:
    """Lead standard output to nowhere: Python flushes it once more at its end, and would tell of the broken pipe."""
    with contextlib.suppress(OSError):  # no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tablestream", description="The operator's tools.")
    parser.add_argument("--version", action="version", version=f"tablestream {__version__}")
    tools = parser.add_subparsers(dest="tool", required=True)
    _add_redrive(tools.add_parser("redrive", help="records in the failures bucket: look, send again, discard"))
    why.add(tools.add_parser("why", help="the life of one item: its changes, what they led to, what was set aside"))
    replay_command.add(tools.add_parser("replay", help="send items of the table as if they had just been inserted"))
    return parser


def _add_redrive(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True)
    _add_list(commands.add_parser("list", help="what the failures bucket holds: reasons, ages, entities, counts"))
    _add_show(commands.add_parser("show", help="one object, its values hidden"))
    _add_run(commands.add_parser("run", aliases=["redrive"], help="send what is selected to the worker again"))
    _add_discard(commands.add_parser("discard", help="move what is selected aside for good"))


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_resources(parser, "bucket")
    add_filters(parser)
    parser.add_argument("--objects", action="store_true", help="each object instead of sums")
    add_json(parser)
    parser.set_defaults(run=listing.listed)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="an object's key, as `list --objects` prints it")
    add_resources(parser, "bucket")
    add_json(parser)
    parser.add_argument("--reveal", action="store_true", help="with all values: customers' data")
    parser.set_defaults(run=listing.shown)


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keys", nargs="*", metavar="KEY", help="objects; none: all that the filters let through")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_keys(parser)
    add_resources(parser, "bucket", "function")
    add_filters(parser)
    add_sending(parser)
    add_json(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument(
        "--out-of-order", action="store_true", help="also records behind an earlier change that is not selected"
    )
    parser.set_defaults(run=redrive.run)


def _add_discard(parser: argparse.ArgumentParser) -> None:
    _add_keys(parser)
    add_resources(parser, "bucket")
    add_filters(parser)
    parser.add_argument("--why", required=True, metavar="TEXT", help="goes into the log; no personal data, please")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_break_lease(parser)
    add_json(parser)
    parser.set_defaults(run=discard.discarded)


if __name__ == "__main__":
    sys.exit(main())
