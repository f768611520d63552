"""`python -m tests.simulation`: thousands of schedules, ours and the baselines, as a table; or one, to look into."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.baselines import BASELINES
from tests.simulation.candidates import Candidate, Ours
from tests.simulation.faults import REGIMES, Regime
from tests.simulation.figures import Figures
from tests.simulation.schedule import run
from tests.simulation.shrink import describe, shrink

CANDIDATES: tuple[Candidate, ...] = (Ours(), *BASELINES)
_SHOWN = 3
_NOT_JUDGED = "n/a"
_COLUMNS = (
    ("lost", "lost"),
    ("missing", "missing after redrive"),
    ("stock", "stock wrong"),
    ("disordered", "out of order"),
    ("repeated", "repeated"),
    ("unexplained", "of which no crash explains"),
    ("good_parked", "good records set aside"),
    ("poison_missing", "bad records not stored"),
    ("overruns", "timeouts"),
    ("delayed", "delayed by an outage of something else"),
)
_OF_THE_API = (
    ("asked", "answers of the API"),
    ("effects", "done twice, or not as told"),
    ("answers", "wrong answers"),
    ("money", "money wrong"),
    ("races", "changes lost under a lock"),
    ("decisions", "orders decided twice, or never"),
)


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    regimes = [REGIMES[name] for name in options.regime or REGIMES]
    if options.seed is not None:
        return max(_look_into(regime, options.seed) for regime in regimes)
    if options.seek is not None:
        return max(_seek(regime, options.seek) for regime in regimes)
    begun = time.monotonic()
    print(_head())
    failed: list[tuple[Regime, int]] = []
    doors: list[Figures] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for candidate in CANDIDATES if not options.ours else CANDIDATES[:1]:
            # The baselines' rates need fewer schedules than the proof that something never happens.
            seeds = options.seeds if candidate.has_ledger else min(options.seeds, options.baseline_seeds)
            for regime in regimes:
                if regime.door and not candidate.has_ledger:
                    continue  # the baselines have no API
                figures, wrong = _many(pool, candidate, regime, range(options.first, options.first + seeds))
                print(_row(candidate, regime, figures), flush=True)
                failed += [(regime, seed) for seed in wrong]
                doors += [figures] if regime.door else []
    for figures in doors:
        print(_of_the_api(figures))
    print(f"\n{time.monotonic() - begun:.0f} s")
    for regime, seed in failed[:_SHOWN]:
        _look_into(regime, seed)
    if failed:
        print(f"FAILED: {len(failed)} schedules")
        return 1
    print("OK: nothing lost, doubled or out of order")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="schedules for each regime (default 200)")
    parser.add_argument(
        "--baseline-seeds", type=int, default=500, help="at most so many for each baseline (default 500)"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="look into one schedule of our worker")
    parser.add_argument("--seek", type=int, help="look among so many for one that is broken")
    parser.add_argument("--regime", action="append", choices=list(REGIMES), help="one or more regimes (default all)")
    parser.add_argument("--ours", action="store_true", help="without the baselines")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="side by side (default 2)")
    return parser.parse_args(arguments)


def _many(
    pool: ProcessPoolExecutor, candidate: Candidate, regime: Regime, seeds: Sequence[int]
) -> tuple[Figures, list[int]]:
    total, wrong = Figures(), []
    parts = [seeds[start : start + 50] for start in range(0, len(seeds), 50)]
    for figures, failed in pool.map(partial(part, candidate, regime), parts):
        total.add(figures)
        wrong += failed
    return total, wrong


def part(candidate: Candidate, regime: Regime, seeds: Iterable[int]) -> tuple[Figures, list[int]]:
    """Run some schedules; return their figures together, and the seeds at which our worker failed."""
    total, wrong = Figures(), []
    for seed in seeds:
        figures = run(candidate, regime, seed).figures
        total.add(figures)
        if candidate.has_ledger and figures.broken(retries=regime.retries):
            wrong.append(seed)
    return total, wrong


def _look_into(regime: Regime, seed: int) -> int:
    figures = run(Ours(), regime, seed).figures
    print(f"\nseed {seed}, regime {regime.name}: {figures.broken(retries=regime.retries) or 'nothing wrong'}")
    if not figures.broken(retries=regime.retries):
        return 0
    print(f"again: make simulate SEED={seed} REGIME={regime.name}\nthe shortest schedule that still fails:")
    print(describe(shrink(Ours(), regime, seed), regime))
    return 1


def _seek(regime: Regime, seeds: int) -> int:
    for seed in range(seeds):
        wrong = run(Ours(), regime, seed).figures.broken(retries=regime.retries)
        if wrong:
            print(f"seed {seed} of regime {regime.name}: {', '.join(wrong)}")
            return 1
    return 0


def _head() -> str:
    names = [
        "worker",
        "regime",
        "schedules",
        "records",
        *(title for _, title in _COLUMNS),
        "shard stood still (median, longest)",
    ]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _row(candidate: Candidate, regime: Regime, figures: Figures) -> str:
    counts = [
        _NOT_JUDGED if name == "delayed" and not candidate.has_ledger else str(getattr(figures, name))
        for name, _ in _COLUMNS
    ]
    stood = f"{_duration(statistics.median(figures.stood))}, {_duration(figures.blocked)}"
    cells = [candidate.name, regime.name, str(figures.schedules), str(figures.records), *counts, stood]
    return f"| {' | '.join(cells)} |"


def _of_the_api(figures: Figures) -> str:
    """Return the table of what clients of the HTTP API saw."""
    titles = ["schedules", *(title for _, title in _OF_THE_API)]
    cells = [str(figures.schedules), *(str(getattr(figures, name)) for name, _ in _OF_THE_API)]
    return f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n| {' | '.join(cells)} |"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
