"""What the scenario left behind, held against what it must have left behind."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tablestream.local.letters import PARKED, Letter
from tablestream.local.orders import PRODUCTS
from tablestream.local.scenario import EXPECTED, ORDERS, STOCK_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class World:
    """What was found at the end: plain items, messages in the order they were published, the bucket's objects."""

    available: Mapping[str, int]
    ledger: Sequence[Mapping[str, Any]]
    orders: Sequence[Mapping[str, Any]]
    notifications: Sequence[Mapping[str, Any]]
    letters: Sequence[Letter]
    journal: int  # entries
    faults: int  # errors injected


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant and what speaks against it."""

    name: str
    problems: tuple[str, ...]


def check(world: World) -> list[Check]:
    """Every invariant, in the order a reader wants them."""
    return [
        Check("stock is conserved: available + held = initial", tuple(_conserved(world))),
        Check("stock is where the scenario says", tuple(_differences(STOCK_AFTER, world.available))),
        Check("every order ended as it should", tuple(_statuses(world))),
        Check("the ledger says the same", tuple(_ledger(world))),
        Check("each order's notifications: in order, exactly once", tuple(_notifications(world))),
        Check("the poison is parked with its payload, and nothing else", tuple(_parked(world))),
        Check("the outage was real, and the journal remembered what was sent", tuple(_outage(world))),
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


def _parked(world: World) -> Iterator[str]:
    if len(world.letters) != 1 or not world.letters[0].key.startswith(PARKED):
        yield f"wanted one object below {PARKED}, found {[letter.key for letter in world.letters]}"
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
