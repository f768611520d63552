"""Schedules made for one slip each, where seeds would have to be lucky to meet it."""

from __future__ import annotations

from tests.simulation.candidates import Ours
from tests.simulation.faults import Regime
from tests.simulation.figures import Figures
from tests.simulation.network import Outage
from tests.simulation.schedule import run
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
