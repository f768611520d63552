"""`python -m tests.simulation.mutants`: realistic slips, planted one by one: all must be noticed.

A mutant is killed by the first schedule in which something is wrong, or by a test that is named with it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tests.simulation.mutant import Mutant
from tests.simulation.slips import MUTANTS, VARIABLE

ROOT = Path(__file__).parents[2]
SEEDS = 600
"""So many schedules a mutant may survive before it counts as having survived."""
_KILLED, _SURVIVED = "KILLED", "SURVIVED"
_NOTICED = 1
"""The exit status of pytest with failed tests, and of the simulation with a broken schedule."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only mutants whose slip contains one of these words")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="side by side (default 2)")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if not options.names or any(name in m.slip for name in options.names)]
    survived = 0
    with ThreadPoolExecutor(options.processes) as pool:
        for mutant, verdict in zip(chosen, pool.map(judge, chosen), strict=True):
            survived += not verdict.startswith(_KILLED)
            print(f"{mutant.slip}: {verdict}", flush=True)
    print(f"{'FAILED' if survived else 'OK'}: {len(chosen) - survived} of {len(chosen)} mutants killed")
    return 1 if survived else 0


def judge(mutant: Mutant) -> str:
    """Say what noticed a slip."""
    planted = {VARIABLE: mutant.slip}
    if mutant.test:
        # Without the slip too, so that a test that fails anyway is not taken for a killer.
        if not _passes(mutant.test):
            return f"{_SURVIVED}, as {mutant.test} fails without it"
        done = _python(*_PYTEST, "-p", "tests.simulation.planted", mutant.test, environment=planted)
        noticed = f"by {mutant.test}"
    else:
        seeds = ("--regime", mutant.regime, "--seek", str(SEEDS))
        done = _python("-m", "tests.simulation.planted", *seeds, environment=planted)
        noticed = f"by {done.stdout.strip()}"  # nothing, where the simulation itself has failed
    if done.returncode == _NOTICED and done.stdout:
        return f"{_KILLED} {noticed}"
    if done.returncode == 0:
        return f"{_SURVIVED} {mutant.test or f'{SEEDS} seeds of regime {mutant.regime}'}"
    return f"{_SURVIVED}, as it could not be run ({done.returncode}): {(done.stderr or done.stdout).strip()[-300:]}"


_PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")


@cache
def _passes(test: str) -> bool:
    return _python(*_PYTEST, test).returncode == 0


def _python(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    known = os.environ | (environment or {})
    return subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
