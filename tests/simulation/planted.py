"""Plants the mutant that the environment names: as a pytest plugin (`-p tests.simulation.planted`), or as a program.

As a program it runs the simulation, `python -m tests.simulation.planted --regime harsh --seek 600`. It imports nothing
of the worker itself, as that has to be imported afterwards.
"""

from __future__ import annotations

import os
import runpy

from tests.simulation.planting import plant
from tests.simulation.slips import MUTANTS, VARIABLE

plant(next(mutant.edits for mutant in MUTANTS if mutant.slip == os.environ[VARIABLE]))

if __name__ == "__main__":
    runpy.run_module("tests.simulation", run_name="__main__", alter_sys=True)
