"""The garbage collector, set for batches."""

from __future__ import annotations

import gc

YOUNG_CONTAINERS = 700_000
"""More than 10,000 orders are parsed into, at 59 dictionaries and lists each; a trigger delivers no more at once."""


def spare_batches(containers: int = YOUNG_CONTAINERS) -> None:
    """Keep the collector from looking through each batch while it is parsed and processed; call it in init.

    `containers` is how many more must be made than freed before it looks. Python's own 2000 make it look some hundred
    times during a large batch and find nothing: a parsed event and its changes have no cycles and are freed by their
    reference counts. Cycles are still collected, only later: what waits for it grows by 5 kB with each batch of 100
    orders, to less than 50 MB. A function with little memory takes a smaller number.
    """
    gc.set_threshold(containers, 20, 100)
