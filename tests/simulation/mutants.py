"""`python -m tests.simulation.mutants`: realistic slips, planted one by one in a copy of the tree: all must be noticed.

A mutant is killed by the first schedule in which something is wrong, or by a test that is named with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.candidates import Ours
from tests.simulation.faults import REGIMES
from tests.simulation.schedule import run
from tests.simulation.slips import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SEEDS = 600
"""So many schedules a mutant may survive before it counts as having survived."""
_KILLED, _SURVIVED = "KILLED", "SURVIVED"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only mutants whose slip contains one of these words")
    parser.add_argument("--seek", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.seek:
        print(seek(options.seek))
        return 0
    chosen = [m for m in MUTANTS if not options.names or any(name in m.slip for name in options.names)]
    survived = 0
    for mutant in chosen:
        verdict = judge(mutant)
        survived += not verdict.startswith(_KILLED)
        print(f"{mutant.slip}: {verdict}", flush=True)
    print(f"{'FAILED' if survived else 'OK'}: {len(chosen) - survived} of {len(chosen)} mutants killed")
    return 1 if survived else 0


def judge(mutant: Mutant) -> str:
    """Plant a slip in a copy of the tree and say what noticed it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as made:
        root = Path(made)
        copy_tree(root)
        try:
            for edit in mutant.edits:
                edit.apply(root)
        except ValueError as error:
            return f"CANNOT BE PLANTED: {error}"
        if mutant.test:
            # On the unchanged tree, so that a test that fails anyway is not taken for a killer.
            clean = _python(ROOT, "-m", "pytest", "-q", "-p", "no:cacheprovider", mutant.test)
            if clean.returncode:
                return f"{_SURVIVED}, as {mutant.test} fails without it"
            done = _python(root, "-m", "pytest", "-q", "-p", "no:cacheprovider", mutant.test)
            return f"{_KILLED} by {mutant.test}" if done.returncode == 1 else f"{_SURVIVED} {mutant.test}"
        done = _python(root, "-m", "tests.simulation.mutants", "--seek", mutant.regime)
        return done.stdout.strip() or f"{_SURVIVED}, as it could not be run: {done.stderr.strip()[-300:]}"


def seek(regime: str) -> str:
    """Run schedules until one is broken."""
    for seed in range(SEEDS):
        figures = run(Ours(), REGIMES[regime], seed).figures
        wrong = figures.broken(retries=REGIMES[regime].retries)
        if wrong:
            return f"{_KILLED} by seed {seed} of regime {regime}: {', '.join(wrong)}"
    return f"{_SURVIVED} {SEEDS} seeds of regime {regime}"


def copy_tree(root: Path) -> None:
    """Copy what a schedule needs."""
    for name in ("src", "tests/simulation"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)


def _python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The copy comes before the checkout, which the virtual environment has on its path.
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
