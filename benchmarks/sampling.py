"""Rounds that alternate between contenders, and what is said about their samples: median, spread, exponent."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The samples of one contender."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        if len(self.values) < 3:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return (high - low) / 2 / self.median if self.median else 0.0

    def ratio_to(self, other: Sample) -> float:
        """Return the median of the ratios, round by round: what slows the machine down for a while slows both."""
        return statistics.median([mine / its for mine, its in zip(self.values, other.values, strict=True)])


def in_turn(contenders: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int) -> dict[str, dict[str, Sample]]:
    """Measure each contender once a round, beginning with another one each time; the first round only warms up.

    A contender returns named figures; the result has the samples by contender and figure.
    """
    names = list(contenders)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            for figure, value in contenders[name]().items():
                if turn:
                    found[name].setdefault(figure, []).append(value)
    return {
        name: {figure: Sample(tuple(values)) for figure, values in figures.items()} for name, figures in found.items()
    }


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return how a cost grows with a size, 1 for linear: the slope of the line through their logarithms."""
    logs = [(math.log(size), math.log(cost)) for size, cost in points]
    return statistics.linear_regression([x for x, _ in logs], [y for _, y in logs]).slope
