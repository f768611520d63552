"""The orders of the day that `make run` plays, what must come of each, and the checks and tables at the end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rich.text import Text

from demo.warehouse import PRODUCTS, Letter, NewOrder, print_letters
from tablestream import dead_letters
from tablestream.local.cli.terminal import put, table
from tablestream.local.cli.words import changes, outcome_of
from tablestream.local.delivery.protocol import Invoked
from tablestream.local.trigger.observations import DeliveryStep, Ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console


Row = tuple[DeliveryStep, Invoked, Ended]
"""A delivery that was answered: what came of it, how it began, how it ended."""

ORDERS = {
    order.order_id: order
    for order in (
        NewOrder("plain", [("tea", 2), ("cup", 1)]),
        NewOrder("second", [("pot", 1)], customer="bob"),
        NewOrder("short", [("cup", 9)], customer="bob"),
        NewOrder("unknown", [("hat", 1)], customer="cy"),
        NewOrder("twice", [("tea", 1), ("tea", 3)], customer="cy"),
        NewOrder("cancelled", [("tea", 1)], customer="dora"),
        NewOrder("shipped-cancelled", [("tea", 1)], customer="dora"),
        NewOrder("removed", [("pot", 1)], customer="eve"),
        NewOrder("expired", [("cup", 1)], customer="eve", ttl=int(time.time())),
        NewOrder("shipped-removed", [("tea", 1)], customer="fay"),
        NewOrder("before-poison", [("tea", 1)], customer="gus"),
        NewOrder("poison", [("tea", -1)], customer="gus"),
        NewOrder("after-poison", [("tea", 1)], customer="gus"),
        NewOrder("withdrawn", [("cup", 1)], customer="hal"),
        NewOrder("patient", [("cup", 1)], customer="hal"),
        NewOrder("at-once", [("tea", 2), ("tea", 1)], customer="ivy"),
    )
}


@dataclass(frozen=True, slots=True)
class Expected:
    """An order's last status (None: removed), its ledger item's state (None: none), its notifications in order."""

    status: str | None
    ledger: str | None
    notified: tuple[str, ...]


_OK = ("received", "confirmed")
EXPECTED: Mapping[str, Expected] = {
    "plain": Expected("shipped", "RESERVED", (*_OK, "shipped")),
    "second": Expected("shipped", "RESERVED", (*_OK, "shipped")),
    "short": Expected("rejected", "REJECTED", ("received", "rejected")),
    "unknown": Expected("rejected", "REJECTED", ("received", "rejected")),
    "twice": Expected("confirmed", "RESERVED", _OK),
    "cancelled": Expected("cancelled", "RELEASED", (*_OK, "cancelled")),
    "shipped-cancelled": Expected("cancelled", "RELEASED", (*_OK, "shipped", "cancelled")),
    "removed": Expected(None, "RELEASED", (*_OK, "removed")),
    "expired": Expected(None, "RELEASED", (*_OK, "expired")),
    "shipped-removed": Expected(None, "RESERVED", (*_OK, "shipped")),
    "before-poison": Expected("confirmed", "RESERVED", _OK),
    "poison": Expected("pending", None, ()),
    "after-poison": Expected("confirmed", "RESERVED", _OK),
    "withdrawn": Expected("cancelled", "WITHDRAWN", ("received", "cancelled")),
    "patient": Expected("confirmed", "RESERVED", _OK),
    "at-once": Expected("confirmed", "RESERVED", ("received",)),
}
STOCK_AFTER: Mapping[str, int] = {"cup": 3, "pot": 1, "tea": 8}
ACCOUNTS: Mapping[str, int] = {"ivy": 1000, "landlord": 0}
"""Accounts, and their first balances in cents."""
TRANSFER = ("ivy", "landlord", 750)
"""More than half of what there is: a second one would be refused."""
SENDS = 2
"""The sends of the transfer, all under one key."""
BALANCES_AFTER: Mapping[str, int] = {"ivy": 250, "landlord": 750}


@dataclass(frozen=True, slots=True)
class World:
    """The world at the end: plain items, messages in the order they were published, the bucket's objects."""

    available: Mapping[str, int]
    ledger: Sequence[Mapping[str, Any]]
    orders: Sequence[Mapping[str, Any]]
    notifications: Sequence[Mapping[str, Any]]
    letters: Sequence[Letter]
    journal: int  # entries
    faults: int  # errors injected
    balances: Mapping[str, int] = field(default_factory=dict)
    transfers: Sequence[str] = ()  # the ids that the two sends of the transfer got


def by_name(world: World, placed: Mapping[str, str]) -> World:
    """The same world, its orders called by their names here; `placed` has the ids that the API gave them, by name."""
    names = {order_id: name for name, order_id in placed.items()}

    def named(order_id: object) -> str:
        return names.get(str(order_id), str(order_id))

    return replace(
        world,
        ledger=[{**entry, "sk": f"ORDER#{named(order_of(entry))}"} for entry in world.ledger],
        orders=[{**order, "orderId": named(order["orderId"])} for order in world.orders],
        notifications=[{**message, "orderId": named(message["orderId"])} for message in world.notifications],
    )


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant and what speaks against it."""

    name: str
    problems: tuple[str, ...]


def check(world: World) -> list[Invariant]:
    """Every invariant, in the order a reader wants them."""
    return [
        Invariant("stock is conserved: available + held = initial", tuple(_conserved(world))),
        Invariant("stock is where the scenario says", tuple(_differences(STOCK_AFTER, world.available))),
        Invariant("every order ended as it should", tuple(_statuses(world))),
        Invariant("the ledger says the same", tuple(_ledger(world))),
        Invariant("a transfer that was sent twice took place once", tuple(_transferred(world))),
        Invariant("each order's notifications: in order, exactly once", tuple(_notifications(world))),
        Invariant("the poison is a dead letter with its payload, and nothing else is one", tuple(_dead_letters(world))),
        Invariant("the outage was real, and the journal remembered what was sent", tuple(_outage(world))),
    ]


def held(world: World) -> dict[str, int]:
    """Units of each product that the ledger holds."""
    units: Counter[str] = Counter()
    for entry in world.ledger:
        if entry["state"] == "RESERVED":
            units.update({product: int(quantity) for product, quantity in entry["lines"].items()})
    return dict(units)


def order_of(entry: Mapping[str, Any]) -> str:
    """The order id of an item whose sort key is an order's."""
    return str(entry["sk"]).removeprefix("ORDER#")


def _conserved(world: World) -> Iterator[str]:
    reserved = held(world)
    totals = {product: units + reserved.get(product, 0) for product, units in world.available.items()}
    return _differences(PRODUCTS, totals)


def _differences(wanted: Mapping[str, object], found: Mapping[str, object]) -> Iterator[str]:
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            yield f"{name}: wanted {wanted.get(name)}, found {found.get(name)}"


def _statuses(world: World) -> Iterator[str]:
    wanted = {name: expected.status for name, expected in EXPECTED.items() if expected.status}
    return _differences(wanted, {str(order["orderId"]): order["status"] for order in world.orders})


def _ledger(world: World) -> Iterator[str]:
    wanted = {name: expected.ledger for name, expected in EXPECTED.items() if expected.ledger}
    return _differences(wanted, {order_of(entry): entry["state"] for entry in world.ledger})


def _notifications(world: World) -> Iterator[str]:
    found: dict[str, list[str]] = defaultdict(list)
    for message in world.notifications:
        found[message["orderId"]].append(str(message["type"]).removeprefix("order."))
    wanted = {name: expected.notified for name, expected in EXPECTED.items() if expected.notified}
    return _differences(wanted, {name: tuple(types) for name, types in found.items()})


def _transferred(world: World) -> Iterator[str]:
    yield from _differences(BALANCES_AFTER, world.balances)
    if len(world.transfers) != SENDS or len(set(world.transfers)) != 1:
        yield f"wanted one id for both sends, found {', '.join(world.transfers) or 'none'}"


def _dead_letters(world: World) -> Iterator[str]:
    if len(world.letters) != 1 or not world.letters[0].key.startswith(dead_letters.PREFIX):
        yield f"wanted one object below {dead_letters.PREFIX}, found {[letter.key for letter in world.letters]}"
        return
    record = world.letters[0].body.get("record", {})
    if record.get("dynamodb", {}).get("NewImage") != ORDERS["poison"].item() | _times(record):
        yield "the object's record is not the one that was written"


def _times(record: Mapping[str, Any]) -> dict[str, Any]:
    image = record.get("dynamodb", {}).get("NewImage", {})
    return {name: image.get(name) for name in ("createdAt", "updatedAt")}


def _outage(world: World) -> Iterator[str]:
    if world.faults == 0:
        yield "no call was refused"
    if world.journal == 0:
        yield "the journal has no entry"


def print_report(output: Console, world: World, rows: Sequence[Row]) -> bool:
    """Print every table and the checks; True if all hold."""
    output.print(_deliveries_table(rows))
    output.print(_stock_table(world))
    output.print(_ledger_table(world))
    output.print(_notifications_table(world))
    print_letters(output, world.letters)
    checks = check(world)
    for one in checks:
        put(output, _line(one), indent=2, hang=8)
    return not any(one.problems for one in checks)


def _deliveries_table(rows: Sequence[Row]) -> object:
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


def _stock_table(world: World) -> object:
    reserved = held(world)
    rows = [(name, PRODUCTS[name], units, reserved.get(name, 0)) for name, units in world.available.items()]
    return table("Stock", ["product", "before", "available", "held"], rows)


def _ledger_table(world: World) -> object:
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


def _notifications_table(world: World) -> object:
    counts = Counter(str(message["type"]) for message in world.notifications)
    return table("Notifications published", ["type", "count"], sorted(counts.items()))


def _line(one: Invariant) -> Text:
    if not one.problems:
        return Text(f"holds   {one.name}", "green")
    return Text(f"BROKEN  {one.name}: {'; '.join(one.problems)}", "bold red")
