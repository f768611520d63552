"""The slips that are planted, each with what has to notice it: the schedules of a regime, or a test.

A slip names the function, the method or the constant that it changes, and in it the expression or the statements. It is
planted by `tests.simulation.planting`, and a test says when it can no longer be.
"""

from __future__ import annotations

from tests.simulation.mutant import Mutant
from tests.simulation.slips_at_the_door import AT_ONCE, KEYS, MONEY, SHARED
from tests.simulation.slips_in_order import JOURNAL, ORDER_AND_ANSWERS
from tests.simulation.slips_in_records import POISON, ROUTES
from tests.simulation.slips_in_sinks import SINKS, STOCK

VARIABLE = "PLANTED_MUTANT"
"""The environment variable that names the slip that is to be planted."""

MUTANTS: tuple[Mutant, ...] = (
    *(*ORDER_AND_ANSWERS, *JOURNAL, *SINKS, *POISON, *ROUTES, *STOCK),
    *(*KEYS, *MONEY, *AT_ONCE, *SHARED),
)
