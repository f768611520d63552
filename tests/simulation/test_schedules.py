"""Schedules made for one slip each, where seeds would have to be lucky to meet it."""

from __future__ import annotations

import pytest

from tests.simulation.candidates import Ours
from tests.simulation.faults import Fault, Regime
from tests.simulation.figures import Figures
from tests.simulation.network import Outage
from tests.simulation.schedule import BEGINS, World, run
from tests.simulation.script import Script, Write

CALM = Regime("calm", 0.0)
ONE = ((0, 1),)


def together(script: Script, seeds: int) -> Figures:
    total = Figures()
    for seed in range(seeds):
        total.add(run(Ours(), CALM, seed, script=script).figures)
    return total


def test_two_releases_at_once_give_back_once() -> None:
    placed = [Write(0.0, "place", order, ONE) for order in range(3)]
    cancelled = [Write(3.0, "cancel", order) for order in range(3)]
    figures = together(Script((*placed, *cancelled), (100,), (Outage("twice", 0.0, 60.0),)), 12)

    assert figures.broken(retries=True) == {}
    assert figures.repeated > 0


def test_what_an_unreadable_journal_may_know_is_not_published_again() -> None:
    placed = tuple(Write(0.0, "place", order, ONE) for order in range(6))
    outages = (Outage("entries", 0.0, 12.0), Outage("journal", 0.8, 10.0))
    figures = together(Script(placed, (100,), outages), 12)

    assert figures.broken(retries=True) == {}


def test_a_slow_day_does_not_run_into_the_timeout() -> None:
    placed = tuple(Write(0.0, "place", order, ((0, 3), (1, 2), (2, 3))) for order in range(12))
    outages = (Outage("slow", 0.0, 90.0), Outage("hot", 0.0, 20.0))
    figures = together(Script(placed, (100, 3, 100), outages), 12)

    assert figures.broken(retries=True) == {}


def test_sequence_numbers_that_grow_longer_are_in_order() -> None:
    placed = tuple(Write(0.0, "place", order, ONE) for order in range(12))
    figures = together(Script(placed, (100,), (Outage("entries", 0.0, 8.0),)), 24)

    assert figures.broken(retries=True) == {}


def test_an_item_does_not_go_on_behind_its_failure() -> None:
    placed = tuple(Write(0.0, "place", order, ONE) for order in range(6))
    cancelled = tuple(Write(0.01, "cancel", order) for order in range(6))
    removed = tuple(Write(0.02, "remove", order) for order in range(6))
    outages = (Outage("entries", 0.0, 0.6),)
    figures = together(Script((*placed, *cancelled, *removed), (100,), outages), 24)

    assert figures.broken(retries=True) == {}


def test_a_neighbours_failure_repeats_nothing() -> None:
    placed = tuple(Write(0.0, "place", order, ONE) for order in range(8))
    figures = together(Script(placed, (100,), (Outage("entries", 0.0, 5.0),)), 12)

    assert figures.broken(retries=True) == {}
    assert figures.repeated == 0


def test_what_one_unreadable_answer_leaves_open_repeats_no_other_notification() -> None:
    # Three calls of the topic side by side; somebody else answers one call, whichever it is.
    placed = tuple(Write(0.0, "place confirmed", order, ONE) for order in range(30))
    total = Figures()
    for draw in range(1, 8):
        for seed in range(8):
            total.add(run(Ours(), CALM, seed, script=Script(placed, (100,)), faults={draw: Fault.UNREADABLE}).figures)

    assert total.broken(retries=True) == {}
    assert 0 < total.repeated < 10 * 8 * 7


LONGEST = 61.0
"""The longest timeout of a function in the schedules, and the poll before it, in seconds."""


def hanging(service: str) -> list[World]:
    """Let a service hang for five minutes; place an order that has to be reserved, and one to be announced only."""
    script = Script(
        (Write(0.0, "place", 0, ONE), Write(0.0, "place confirmed", 1, ONE)),
        (100,),
        (Outage(f"{service} hangs", 0.0, 300.0),),
    )
    worlds = [World(Ours(), CALM, seed, script, None) for seed in range(24)]
    for world in worlds:
        assert world.run().figures.broken(retries=True) == {}
    return worlds


def test_while_the_inventory_table_hangs_other_orders_are_announced() -> None:
    for world in hanging("inventory"):
        announced = {message.body["orderId"]: message.at - BEGINS for message in reversed(world.aws.topic.published)}
        assert announced["1"] < LONGEST
        assert announced["0"] > 300.0, "and the order that needs the table waits"


@pytest.mark.parametrize("service", ["topic", "journal"])
def test_while_the_topic_or_the_journal_hangs_stock_is_reserved(service: str) -> None:
    for world in hanging(service):
        confirmed = [record for record in world.stream.records if record["eventName"] == "MODIFY"]
        assert [record["dynamodb"]["ApproximateCreationDateTime"] - BEGINS < LONGEST for record in confirmed] == [True]


def test_while_the_topic_hangs_stock_of_a_second_change_moves_too() -> None:
    # The reopening is poison, so the cancellation behind it is carried out in the second wave of the batch.
    changed = tuple(Write(3.0, kind, order, ONE) for kind, order in (("place confirmed", 1), ("reopen", 0)))
    writes = (Write(0.0, "place", 0, ONE), *changed, Write(3.0, "cancel", 0))
    figures = together(Script(writes, (100,), (Outage("topic hangs", 2.5, 60.0),)), 40)

    assert figures.broken(retries=True) == {}


def test_what_the_journal_leaves_unprocessed_is_written_again() -> None:
    placed = tuple(Write(0.0, "place confirmed", order, ONE) for order in range(8))
    script = Script(placed, (100,), (Outage("entries", 0.0, 5.0),))
    outcomes = [
        run(Ours(), CALM, seed, script=script, faults={draw: Fault.PARTIAL})
        for draw in range(1, 12)
        for seed in range(6)
    ]

    assert any(outcome.faults for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.figures.broken(retries=True) == {}
        assert outcome.figures.repeated == 0


def test_while_the_journal_and_the_inventory_table_hang_a_bad_record_is_stored() -> None:
    placed = (Write(0.0, "place", 0, ONE), Write(0.01, "place confirmed", 1, ONE, "no items"))
    outages = (Outage("journal hangs", 0.0, 15.0), Outage("inventory hangs", 0.0, 60.0))
    figures = together(Script(placed, (100,), outages), 40)

    assert figures.broken(retries=True) == {}
