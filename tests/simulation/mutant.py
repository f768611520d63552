"""`Mutant`: a slip that is planted, and what has to notice it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.planting import Edit

SCHEDULES = "tests/simulation/test_schedules.py"
UNIT = "tests/unit/tablestream"
BATCHES = "tests/integration/shop/test_bad_input_in_batches.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A slip, and what has to notice it: the schedules of a regime, or a test."""

    slip: str
    edits: tuple[Edit, ...]
    regime: str = "harsh"
    test: str = ""


def mutant(slip: str, where: str, old: str, new: str, *, regime: str = "harsh", test: str = "") -> Mutant:
    """Make a mutant of one edit; see `Edit`."""
    return Mutant(slip, (Edit(where, old, new),), regime, test)
