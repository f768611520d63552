"""The command line: `python -m ops redrive …` and `python -m ops replay …`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from ops import redrive_command, replay_command
from ops.arguments import add_filters, add_resources, add_sending
from ops.errors import StoppedError, UsageError
from ops.view import say

USAGE_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status.

    0: everything is done; 1: something is left, as the last lines say; 2: the command or the permissions are wrong.
    """
    given = _parser().parse_args(arguments)
    try:
        status: int = given.run(given)
    except (UsageError, ClientError, BotoCoreError, OSError) as error:
        say(f"{given.tool}: {error}", error=True)
        return USAGE_ERROR
    except StoppedError as error:
        say(f"stopped: {error}", error=True)
        return redrive_command.INCOMPLETE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops", description="The operator's tools.")
    tools = parser.add_subparsers(dest="tool", required=True)
    _add_redrive(
        tools.add_parser("redrive", help="what is set aside in the failures bucket: look, send again, discard")
    )
    replay_command.add(tools.add_parser("replay", help="send items of the table as if they had just been inserted"))
    return parser


def _add_redrive(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True)
    _add_list(commands.add_parser("list", help="what is set aside: reasons, ages, entities, counts"))
    _add_show(commands.add_parser("show", help="one object, its values hidden"))
    _add_run(commands.add_parser("run", aliases=["redrive"], help="send what is selected to the worker again"))
    _add_discard(commands.add_parser("discard", help="move what is selected aside for good"))


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_resources(parser, "bucket")
    add_filters(parser)
    parser.add_argument("--objects", action="store_true", help="each object instead of sums")
    parser.add_argument("--json", action="store_true", help="for programs; with --objects one line an object")
    parser.set_defaults(run=redrive_command.listed)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="an object's key, as `list --objects` prints it")
    add_resources(parser, "bucket")
    parser.add_argument("--reveal", action="store_true", help="with all values: customers' data")
    parser.set_defaults(run=redrive_command.shown)


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keys", nargs="*", metavar="KEY", help="objects; none: all that the filters let through")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_keys(parser)
    add_resources(parser, "bucket", "function")
    add_filters(parser)
    add_sending(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument(
        "--out-of-order", action="store_true", help="also records behind an earlier change that is not selected"
    )
    parser.set_defaults(run=redrive_command.run)


def _add_discard(parser: argparse.ArgumentParser) -> None:
    _add_keys(parser)
    add_resources(parser, "bucket")
    add_filters(parser)
    parser.add_argument("--why", required=True, metavar="TEXT", help="goes into the log; no personal data, please")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=redrive_command.discarded)


if __name__ == "__main__":
    sys.exit(main())
