"""The garbage collector, set for batches."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 200_000
"""Containers made before the collector looks: more than a batch of six megabytes is parsed into."""


def spare_batches() -> None:
    """Keep the collector from looking through each batch while it is parsed and processed; call it in init.

    By default it looks whenever 2000 more containers were made than freed, some hundred times for a large batch, and
    finds nothing: a parsed event and its changes have no cycles and are freed by their reference counts. Cycles are
    still collected, only later.
    """
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
