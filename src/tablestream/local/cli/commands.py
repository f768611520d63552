"""The command line: `python -m tablestream.local [up] | invoke | status | put | exec | fault | mapping`."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tablestream.local.template.project import (
    TEMPLATES,
    choose_template,
    chosen_region,
    parameter_overrides,
    stack_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tablestream.local.cli.invoke import Around
    from tablestream.local.cli.up import Watching
    from tablestream.local.cloud.translate import Translated

    AddParser = Callable[..., argparse.ArgumentParser]


# What a command needs is imported when it is asked for: the embedded AWS takes seconds to import, and `status` has no
# use for it.

USAGE_ERROR = 2
MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Guest:
    """An application that adds to the commands what it knows: the shop of `demo`. `module` is what is run.

    `watching` and `around` give what `up` and `invoke` take under these names. All three import what they need when
    they are called: the embedded AWS takes seconds to import.
    """

    module: str
    watching: Callable[[], Watching]
    around: Callable[[], Around]
    add_commands: Callable[[AddParser], None]


def main(arguments: Sequence[str] | None = None, guest: Guest | None = None) -> int:
    """Run one command. Returns the exit status; 2 for what the user has to change."""
    given = _parser(guest).parse_args(_named(sys.argv[1:] if arguments is None else arguments))
    from botocore.exceptions import BotoCoreError

    from tablestream.local.delivery.filters import InvalidFilterPattern
    from tablestream.local.delivery.mapping import InvalidSettings
    from tablestream.local.errors import UsageError

    try:
        status: int = given.run(given)
    except (UsageError, InvalidSettings, InvalidFilterPattern, BotoCoreError, OSError) as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return 130
    return status


def _named(arguments: Sequence[str]) -> list[str]:
    """Return arguments that begin with a command: `up` where there is none, or only options."""
    is_named = bool(arguments) and (not arguments[0].startswith("-") or arguments[0] in {"-h", "--help"})
    return [*arguments] if is_named else ["up", *arguments]


def _parser(guest: Guest | None) -> argparse.ArgumentParser:
    prog = f"python -m {guest.module if guest is not None else 'tablestream.local'}"
    parser = argparse.ArgumentParser(prog=prog, description="Run the stack on this machine.")
    parser.set_defaults(guest=guest)
    commands = parser.add_subparsers(dest="command", required=True)
    if guest is not None:
        guest.add_commands(commands.add_parser)
    built = guest is None  # a guest knows where its code is
    _add_up(commands.add_parser("up", help="the embedded AWS with the stream trigger, until Ctrl-C"), built=built)
    _add_invoke(commands.add_parser("invoke", help="the handler on a sample event, without Docker"), built=built)
    _add_status(commands.add_parser("status", help="where everything of a running `up` is, and where it stands"))
    _add_put(commands.add_parser("put", help="write an item to a table of a running `up`"))
    _add_exec(commands.add_parser("exec", help="another program, pointed at a running `up`"))
    _add_fault(commands.add_parser("fault", help="make the AWS of a running `up` fail, to practise"))
    _add_mapping(commands.add_parser("mapping", help="disable or enable an event source mapping of a running `up`"))
    return parser


def add_template(parser: argparse.ArgumentParser, *, built: bool = False) -> None:
    """Add the option that names the template; with `built` what `sam build` has made may be the default (None)."""
    own = next((name for name in TEMPLATES if Path(name).exists()), TEMPLATES[0])
    words = f"a SAM or CloudFormation template (default: {own}{', or that of `sam build` where it is newer' * built})"
    parser.add_argument("--template", type=Path, default=None if built else Path(own), help=words)


def _add_up(parser: argparse.ArgumentParser, *, built: bool) -> None:
    add_template(parser, built=built)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=_port, default=4567, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--api-port",
        type=_port,
        metavar="PORT",
        help="of the first HTTP API; 0 takes a free one (default: 8080, or a free one where that is taken)",
    )
    parser.add_argument(
        "--page-port",
        type=_port,
        metavar="PORT",
        help="of the page; 0 takes a free one (default: 4568, or a free one where that is taken)",
    )
    parser.add_argument("--dynamodb-endpoint", metavar="URL", help="keep the tables on this DynamoDB")
    _add_values(parser)
    parser.add_argument(
        "--no-window",
        action="store_true",
        help="hand records over as they come, whatever MaximumBatchingWindowInSeconds says",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="install what the functions' requirements.txt name into a cache, where that is not done yet",
    )
    parser.add_argument("--coverage", action="store_true", help="say what is not done here, and why; run nothing")
    parser.add_argument(
        "--reload",
        action="store_true",
        help="import the handler anew when its source changes; a template that changes wants a new start",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show every line the functions write")
    parser.add_argument("--record", metavar="FILE", type=Path, help="write every delivery to FILE, images included")
    parser.add_argument("--replay", metavar="FILE", type=Path, help="play the deliveries of FILE first")
    parser.set_defaults(run=_up)


def _add_values(parser: argparse.ArgumentParser) -> None:
    """Add the options that give a template what it does not say itself."""
    words = "environment of samconfig.toml, or samconfig.yaml (default: local)"
    parser.add_argument("--config-env", metavar="NAME", help=words)
    words = "of the stack (default: that of samconfig.toml, of AWS_REGION or AWS_DEFAULT_REGION, or us-east-1)"
    parser.add_argument("--region", help=words)
    _add_pairs(parser, "--parameter")
    _add_pairs(parser, "--import", "what another stack exports under this name, for !ImportValue", dest="imports")
    words = "what a dynamic reference stands for: --resolve ssm:/a/b=VALUE for {{resolve:ssm:/a/b}}"
    _add_pairs(parser, "--resolve", words, metavar="REFERENCE=VALUE")
    words = "make a table of another stack, with a stream: its key is id, or pk,sk; id:N is a number"
    _add_pairs(parser, "--table", words, metavar="NAME=KEY", dest="tables")
    words = "where the source of a function is, whose code is in a bucket or not built"
    _add_pairs(parser, "--code", words, metavar="FUNCTION=FOLDER")


def _add_pairs(
    parser: argparse.ArgumentParser,
    option: str,
    words: str | None = None,
    *,
    dest: str | None = None,
    metavar: str = "NAME=VALUE",
) -> None:
    """Add an option that takes a name and a value, and may be given several times."""
    parser.add_argument(
        option, dest=dest, metavar=metavar, type=_pair(metavar), action="append", default=[], help=words
    )


def _add_invoke(parser: argparse.ArgumentParser, *, built: bool) -> None:
    add_template(parser, built=built)
    parser.add_argument("event", type=Path, help="a JSON file")
    parser.add_argument("--function", help="logical id, where the template's streams invoke several")
    _add_values(parser)
    parser.add_argument("--install", action="store_true", help="install what its requirements.txt names into a cache")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every line the function writes")
    parser.set_defaults(run=_invoke, reload=False)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=_status)


def _add_put(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="its name, or that of an output; `status` tells both")
    parser.add_argument("item", help="""as JSON, such as '{"id": "1", "litres": 1.5}'""")
    parser.set_defaults(run=_put)


def _add_exec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="PROGRAM ...",
        help="e.g. aws dynamodb list-tables; {stack} and {NameOfAnOutput} are filled in",
    )
    parser.set_defaults(run=_exec)


def _add_fault(parser: argparse.ArgumentParser) -> None:
    kinds = ("throttle", "conflict", "outage", "function-throttle", "list", "clear")
    parser.add_argument("kind", choices=kinds, help="what the functions' calls get; your own calls go through")
    parser.add_argument(
        "--calls", type=int, metavar="N", help="the next N calls (default: until `clear`; function-throttle wants it)"
    )
    parser.add_argument("--seconds", type=float, help="no longer than this")
    parser.add_argument("--service", choices=("dynamodb", "s3", "sns", "sqs"), help="of an outage (default: dynamodb)")
    parser.add_argument("--operation", help="this one only, e.g. TransactWriteItems")
    parser.add_argument("--mentioning", metavar="TEXT", help="only calls with TEXT in the request, e.g. a table's name")
    parser.add_argument("--function", help="whose invocations are throttled, where streams invoke several")
    parser.set_defaults(run=_fault)


def _add_mapping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("enable", "disable"))
    parser.add_argument("name", nargs="?", help="logical id, where there are several")
    parser.set_defaults(run=_mapping)


@contextmanager
def many_imports() -> Iterator[None]:
    """Import what makes very many objects, none of them garbage: collecting would take a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _pair(form: str) -> Callable[[str], tuple[str, str]]:
    """The way to read a name and a value in the form that the help shows."""

    def pair(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise argparse.ArgumentTypeError(f"wanted {form}, got {text!r}")
        return name, value

    return pair


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_PORT:
        raise argparse.ArgumentTypeError(f"wanted a port from 0 to {MOST_PORT}, got {text!r}")
    return int(text)


def _up(given: argparse.Namespace) -> int:
    if given.coverage:
        from tablestream.local.template.gaps import not_done

        print(not_done())
        return 0
    with many_imports():
        # What the template alone decides is told before the embedded AWS is imported.
        translated = _translated(given)
        from tablestream.local.cli.up import UpOptions, up

        watching = given.guest.watching() if given.guest is not None else None

    return up(
        UpOptions(
            translated=translated,
            host=given.host,
            port=given.port,
            api_port=given.api_port,
            page_port=given.page_port,
            dynamodb_endpoint=given.dynamodb_endpoint,
            config_env=given.config_env,
            install=given.install,
            no_window=given.no_window,
            reload=given.reload,
            verbose=given.verbose,
            record=given.record,
            replay=given.replay,
        ),
        watching,
    )


def _translated(given: argparse.Namespace) -> Translated:
    from tablestream.local.cloud.clients import REGION
    from tablestream.local.cloud.elsewhere import Elsewhere
    from tablestream.local.cloud.translate import translate

    chosen = choose_template(given.template, Path(), built=not given.reload)
    overrides = parameter_overrides(chosen.template.path, given.config_env)
    elsewhere = Elsewhere(dict(given.imports), dict(given.resolve), dict(given.code), dict(given.tables))
    region = chosen_region(given.region, chosen.template.path, given.config_env, os.environ) or REGION
    translated = translate(chosen.template, dict(given.parameter), overrides, elsewhere, region)
    return translated.noting(chosen.note) if chosen.note else translated


def _invoke(given: argparse.Namespace) -> int:
    with many_imports():
        translated = _translated(given)
        from tablestream.local.cli.invoke import invoke
        from tablestream.local.cloud.cloud import Cloud

        around = given.guest.around() if given.guest is not None else None
    cloud = Cloud(translated, stack_name=stack_name(translated.source.path, given.config_env))
    return invoke(given.event, cloud, given.function, around, verbose=given.verbose, install=given.install)


def _status(given: argparse.Namespace) -> int:
    from tablestream.local.cli.control import print_status

    return print_status(as_json=given.json)


def _put(given: argparse.Namespace) -> int:
    from tablestream.local.cli.items import put
    from tablestream.local.cli.session import running
    from tablestream.local.cloud.clients import CloudClients

    state = running()
    clients = CloudClients(state.endpoint, state.dynamodb_endpoint, state.variables["AWS_REGION"])
    print(put(clients.get("dynamodb"), state.outputs.get(given.table, given.table), given.item))
    return 0


def _exec(given: argparse.Namespace) -> int:
    from tablestream.local.cli.session import execute
    from tablestream.local.errors import UsageError

    if not given.words:
        raise UsageError("wanted a program to run")
    return execute(given.words)


def _fault(given: argparse.Namespace) -> int:
    from tablestream.local.cli.control import ask_for_fault

    names = ("calls", "seconds", "service", "operation", "mentioning", "function")
    return ask_for_fault(given.kind, {name: getattr(given, name) for name in names})


def _mapping(given: argparse.Namespace) -> int:
    from tablestream.local.cli.control import ask_for_mapping

    return ask_for_mapping(given.name, enabled=given.what == "enable")
