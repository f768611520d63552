"""Every point at which an invocation or an answer can break off, for twenty-two canonical batches, one by one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.simulation.candidates import Ours
from tests.simulation.faults import Fault, Regime
from tests.simulation.schedule import Outcomes, run
from tests.simulation.script import FLAWS, Script, Write

CALM = Regime("calm", 0.0)
ONE, TWO, MIXED = ((0, 1),), ((0, 2),), ((0, 1), (1, 2))


def place(order: int, lines: tuple[tuple[int, int], ...] = ONE, flaw: str = "") -> Write:
    return Write(0.0, "place", order, lines, flaw)


def later(kind: str, order: int, at: float = 3.0, lines: tuple[tuple[int, int], ...] = ONE, flaw: str = "") -> Write:
    return Write(at, kind, order, lines, flaw)


CANONICAL: Mapping[str, Script] = {
    "one order": Script((place(0),), (5,)),
    "two lines": Script((place(0, MIXED),), (5, 5)),
    "three orders of one product": Script((place(0), place(1), place(2)), (5,)),
    "orders that share no product": Script((place(0, ((0, 1),)), place(1, ((1, 1),))), (5, 5)),
    "the last one is short of stock": Script((place(0, TWO), place(1, TWO)), (3,)),
    "nothing in stock": Script((place(0), place(1)), (0,)),
    "cancelled before it is reserved": Script((place(0), later("cancel", 0, 0.0)), (5,)),
    "cancelled afterwards": Script((place(0), later("cancel", 0)), (5,)),
    "cancelled and removed": Script((place(0), later("cancel", 0), later("remove", 0)), (5,)),
    "removed before it is reserved": Script((place(0), later("remove", 0, 0.0)), (5,)),
    "expired": Script((place(0), later("expire", 0)), (5,)),
    "shipped, delivered, removed": Script(
        (place(0), later("ship", 0), later("deliver", 0), later("remove", 0, 6.0)), (5,)
    ),
    "edited, then cancelled": Script((place(0), later("edit items", 0, 2.0, TWO), later("cancel", 0)), (5,)),
    "written as confirmed": Script((Write(0.0, "place confirmed", 0, ONE), later("cancel", 0)), (5,)),
    "a bad record between good ones": Script((place(0), place(1, flaw="no items"), place(2)), (5,)),
    "only bad records": Script(tuple(place(n, flaw=flaw) for n, flaw in enumerate(list(FLAWS)[:4])), (5,)),
    "spoilt, while stock is held": Script((place(0), later("spoil", 0, flaw="empty items"), later("remove", 0)), (5,)),
    "an order that becomes a draft": Script((place(0), later("draft", 0), later("remove", 0, 6.0)), (5,)),
    "a draft that becomes an order": Script((Write(0.0, "place draft", 0, ONE), later("cancel", 0)), (5,)),
    "another entity": Script((place(0), Write(0.0, "other", 0)), (5,)),
    "stock comes back while another order wants it": Script(
        (place(0, TWO), later("cancel", 0), later("place", 1, 3.0, TWO)), (2,)
    ),
    "eleven orders, two calls of the topic": Script(tuple(place(n) for n in range(11)), (50,)),
}
BREAKS = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.UNREADABLE, Fault.LOST_ANSWER})
SEED = 11


def test_there_are_twenty_two() -> None:
    assert len(CANONICAL) == 22


@pytest.mark.parametrize("name", CANONICAL)
def test_a_crash_or_an_unreadable_answer_at_any_point_loses_and_doubles_nothing(name: str) -> None:
    script = CANONICAL[name]
    undisturbed = _run(script, {})
    for point, kinds in enumerate(undisturbed.world.plan.offered, start=1):
        breaks = BREAKS.intersection(kinds)
        assert breaks
        for fault in breaks:
            outcomes = _run(script, {point: fault})
            assert outcomes.faults == {point: fault}
            assert outcomes.figures.broken(retries=True) == {}, f"{fault} at {point}"
            assert _state(outcomes) == _state(undisturbed), f"{fault} at {point}"


def _run(script: Script, faults: Mapping[int, Fault]) -> Outcomes:
    return run(Ours(), CALM, SEED, script=script, faults=faults)


def _state(outcomes: Outcomes) -> dict[str, object]:
    """What a customer and an accountant can see in the end."""
    aws = outcomes.world.aws
    return {
        "available": [aws.available(f"p{number}") for number in range(len(outcomes.script.stock))],
        "ledger": {order: entry["state"]["S"] for order, entry in aws.ledger().items()},
        "orders": {key: item.get("status") for key, item in aws.orders.items.items()},
        "announced": {(message.body["orderId"], message.body["type"]) for message in aws.topic.published},
    }
