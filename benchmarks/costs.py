"""What a million orders cost: from the measured calls, units and milliseconds, and a table of prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.calls import Case
from benchmarks.sampling import Sample

PRICES_OF = "us-east-1, on demand, as known in November 2025; they were not looked up in this run"
LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_REQUEST = 0.20 / 1e6
WRITE_UNIT = 0.625 / 1e6
READ_UNIT = 0.125 / 1e6
SNS_REQUEST = 0.50 / 1e6
"""For each 64 KB published."""

MEMORY_GB = 0.5
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Bill:
    """A million orders of one contender."""

    aws_calls: float
    write_units: float
    lambda_ms: float
    dollars: Mapping[str, float]

    @property
    def total(self) -> float:
        """Return the sum in dollars."""
        return sum(self.dollars.values())


def bill(case: Case, figures: Mapping[str, Sample]) -> Bill:
    """Add up a case that was measured, as if every invocation were like it."""
    each = {name: sample.median for name, sample in figures.items()}
    milliseconds = each["wall"] * MILLION
    dollars = {
        "Lambda": milliseconds / 1000 * MEMORY_GB * LAMBDA_GB_SECOND + MILLION / case.orders * LAMBDA_REQUEST,
        "DynamoDB": MILLION * (each["write_units"] * WRITE_UNIT + each["read_units"] * READ_UNIT),
        "SNS": MILLION * each["publishes"] * SNS_REQUEST,
    }
    return Bill(each["calls"] * MILLION, each["write_units"] * MILLION, milliseconds, dollars)
