"""The command line: `python -m demo run | order | events`, and `up` and the others with the shop watched."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tablestream.local.cli.commands import Guest, add_template, many_imports
from tablestream.local.cli.commands import main as local
from tablestream.local.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tablestream.local.cli.commands import AddParser
    from tablestream.local.cli.invoke import Around
    from tablestream.local.cli.up import Watching

# Imported when it is asked for: the embedded AWS takes seconds, and `order` has no use for it.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status; 2 for what the user has to change."""
    return local(arguments, Guest("demo", _watching, _around, _add_commands))


def _watching() -> Watching:
    from demo.watch import shop_watcher

    return shop_watcher


def _around() -> Around:
    from demo.watch import around_invocation

    return around_invocation


def _add_commands(add: AddParser) -> None:
    run = add("run", help="play a day of the shop and check the outcome")
    add_template(run)
    run.add_argument("-v", "--verbose", action="store_true", help="show every line the functions write")
    run.set_defaults(run=_run)
    _add_order(add("order", help="place or change an order in a running `up`"))
    add("events", help="write events/*.json and events/api/*.json anew").set_defaults(run=_events)


def _add_order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--product", action="append", help="may be given several times (default: tea)")
    parser.add_argument("--quantity", action="append", type=int, help="one for each product (default: 1)")
    parser.add_argument("--customer", default="ada")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--cancel", metavar="ORDER", help="cancel an order")
    kind.add_argument("--ship", metavar="ORDER", help="ship an order")
    kind.add_argument("--remove", metavar="ORDER", help="remove an order")
    kind.add_argument("--poison", action="store_true", help="place an order that cannot be understood")
    parser.set_defaults(run=_order)


def _run(given: argparse.Namespace) -> int:
    with many_imports():
        from demo.day import run

    return run(given.template, verbose=given.verbose)


def _order(given: argparse.Namespace) -> int:
    from demo.order import Wish, order

    products, quantities = given.product or ["tea"], given.quantity or []
    if len(quantities) > len(products):
        raise UsageError(f"{len(quantities)} quantities for {len(products)} products")
    quantities += [1] * (len(products) - len(quantities))
    lines = list(zip(products, quantities, strict=True))
    return order(Wish(lines, given.customer, given.poison, given.cancel, given.ship, given.remove))


def _events(_given: argparse.Namespace) -> int:
    from demo.api_samples import write_api_samples
    from demo.samples import write

    write(Path("events"))
    write_api_samples(Path("events", "api"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
