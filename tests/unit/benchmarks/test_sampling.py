"""What is said about samples: rounds in turn, medians, spread, exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from benchmarks.records import mixed_event
from benchmarks.sampling import Sample, exponent, in_turn


def test_every_contender_runs_once_a_round_and_each_is_first_in_turn() -> None:
    order: list[str] = []

    def contender(name: str) -> Callable[[], Mapping[str, float]]:
        def run() -> Mapping[str, float]:
            order.append(name)
            return {"wall": float(len(order))}

        return run

    found = in_turn({name: contender(name) for name in "abc"}, rounds=2)
    assert order == list("abc" + "bca" + "cab")
    assert found["a"]["wall"].values == (6.0, 8.0)  # the first round warms up and does not count


def test_a_ratio_is_taken_round_by_round() -> None:
    slow, fast = Sample((2.0, 40.0, 6.0)), Sample((1.0, 10.0, 3.0))
    assert slow.ratio_to(fast) == 2.0


def test_the_spread_is_half_the_distance_of_the_quartiles_by_the_median() -> None:
    assert Sample((8.0, 9.0, 10.0, 11.0, 12.0)).spread == pytest.approx(0.1)
    assert Sample((5.0, 7.0)).spread == 0.0


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_found(power: float) -> None:
    assert exponent([(size, 3 * size**power) for size in (1, 10, 100)]) == pytest.approx(power)


def test_the_records_are_the_same_in_every_run_and_differ_by_seed() -> None:
    assert mixed_event(20) == mixed_event(20)
    assert mixed_event(20) != mixed_event(20, seed=1)
