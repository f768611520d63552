"""The checks at the end of the scenario: each one fails on the error it is there for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from demo.checks import BALANCES_AFTER, EXPECTED, ORDERS, STOCK_AFTER, World, check
from demo.warehouse import PRODUCTS, Letter

if TYPE_CHECKING:
    from collections.abc import Callable


def world() -> World:
    """What a scenario that went well leaves behind."""
    return World(
        available=STOCK_AFTER,
        ledger=[ledger_item(name) for name, expected in EXPECTED.items() if expected.ledger],
        orders=[{"orderId": name, "status": e.status} for name, e in EXPECTED.items() if e.status],
        notifications=[
            {"orderId": name, "type": f"order.{kind}"} for name, e in EXPECTED.items() for kind in e.notified
        ],
        letters=[Letter("dead-letters/1.json", {"record": {"dynamodb": {"NewImage": ORDERS["poison"].item()}}})],
        journal=1,
        faults=1,
        balances=BALANCES_AFTER,
        transfers=["t", "t"],
    )


def ledger_item(name: str) -> dict[str, Any]:
    lines: dict[str, int] = {}
    for product, quantity in ORDERS[name].lines:
        lines[product] = lines.get(product, 0) + quantity
    return {"pk": "LEDGER#x", "sk": f"ORDER#{name}", "state": EXPECTED[name].ledger, "lines": lines}


def broken(found: World) -> list[str]:
    return [one.name.split(":")[0] for one in check(found) if one.problems]


def test_all_hold_in_a_world_as_expected() -> None:
    assert broken(world()) == []


def test_the_scenario_itself_conserves_stock() -> None:
    assert sum(STOCK_AFTER.values()) < sum(PRODUCTS.values())


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (lambda w: replace(w, available={**w.available, "tea": 12}), "stock is conserved"),
        (lambda w: replace(w, available={**w.available, "tea": 12}), "stock is where the scenario says"),
        (lambda w: replace(w, ledger=w.ledger[1:]), "the ledger says the same"),
        (lambda w: replace(w, orders=w.orders[1:]), "every order ended as it should"),
        (lambda w: replace(w, notifications=w.notifications[::-1]), "each order's notifications"),
        (lambda w: replace(w, notifications=[*w.notifications, w.notifications[0]]), "each order's notifications"),
        (lambda w: replace(w, notifications=w.notifications[1:]), "each order's notifications"),
        (lambda w: replace(w, balances={"ivy": 1000}), "a transfer that was sent twice took place once"),
        (lambda w: replace(w, transfers=["t", "u"]), "a transfer that was sent twice took place once"),
        (lambda w: replace(w, letters=[]), "the poison is a dead letter with its payload, and nothing else is one"),
        (
            lambda w: replace(w, letters=w.letters * 2),
            "the poison is a dead letter with its payload, and nothing else is one",
        ),
        (
            lambda w: replace(w, letters=[Letter("aws/lambda/1", w.letters[0].body)]),
            "the poison is a dead letter with its payload, and nothing else is one",
        ),
        (
            lambda w: replace(w, letters=[Letter(w.letters[0].key, {"record": {}})]),
            "the poison is a dead letter with its payload, and nothing else is one",
        ),
        (lambda w: replace(w, faults=0), "the outage was real, and the journal remembered what was sent"),
        (lambda w: replace(w, journal=0), "the outage was real, and the journal remembered what was sent"),
    ],
)
def test_each_error_breaks_its_check(harm: Callable[[World], World], name: str) -> None:
    assert name in broken(harm(world()))
