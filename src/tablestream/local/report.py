"""The tables at the end of `make run`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from tablestream.local.audit import check, held, order_of
from tablestream.local.cli.terminal import put, table
from tablestream.local.cli.view import changes, outcome_of
from tablestream.local.letters import print_letters
from tablestream.local.orders import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tablestream.local.audit import Check, World
    from tablestream.local.watch import Row


def print_report(output: Console, world: World, rows: Sequence[Row]) -> bool:
    """Print every table and the checks; True if all hold."""
    output.print(_deliveries(rows))
    output.print(_stock(world))
    output.print(_ledger(world))
    output.print(_notifications(world))
    print_letters(output, world.letters)
    checks = check(world)
    for one in checks:
        put(output, _line(one), indent=2, hang=8)
    return not any(one.problems for one in checks)


def _deliveries(rows: Sequence[Row]) -> object:
    shown = [
        (
            invoked.invoke_id,
            changes(ended.invoke.records),
            invoked.attempt + 1,
            outcome_of(step.event, ended)[0],
            round(ended.invocation.seconds * 1000),
        )
        for step, invoked, ended in rows
    ]
    return table("Deliveries", ["#", "records", "attempt", "outcome", "ms"], shown)


def _stock(world: World) -> object:
    reserved = held(world)
    rows = [(name, PRODUCTS[name], units, reserved.get(name, 0)) for name, units in world.available.items()]
    return table("Stock", ["product", "before", "available", "held"], rows)


def _ledger(world: World) -> object:
    rows = [
        (
            order_of(entry),
            entry["state"],
            ", ".join(f"{product} {units}" for product, units in entry.get("lines", {}).items()),
            entry.get("reason", ""),
        )
        for entry in world.ledger
    ]
    return table("Ledger", ["order", "state", "lines", "reason"], rows)


def _notifications(world: World) -> object:
    counts = Counter(str(message["type"]) for message in world.notifications)
    return table("Notifications published", ["type", "count"], sorted(counts.items()))


def _line(one: Check) -> Text:
    if not one.problems:
        return Text(f"holds   {one.name}", "green")
    return Text(f"BROKEN  {one.name}: {'; '.join(one.problems)}", "bold red")
