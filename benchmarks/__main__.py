"""`python -m benchmarks` (`make bench`): measure, and write docs/performance.md with its plots."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import calls, cold, cpu, growth, local_rate, locks, page, requests, values
from benchmarks.toolchain import LAMBDA_PYTHON, Toolchain

_MEASURED = ("cpu", "calls", "requests", "values", "cold", "growth", "locks", "local")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and cases: for a look, not for quoting")
    parser.add_argument("--only", nargs="+", choices=_MEASURED, default=_MEASURED, help="measure these sections only")
    options = parser.parse_args()
    tools = Toolchain.find()
    for section in options.only:
        print(f"measuring: {section}", file=sys.stderr, flush=True)
        _measure(section, tools, quick=options.quick)
    print(f"written: {page.PAGE}")


def _measure(section: str, tools: Toolchain, *, quick: bool) -> None:
    rounds = 5 if quick else 9
    said = _conditions(tools, section, quick=quick)
    if section == "cpu":
        sizes = cpu.BATCHES[:4] if quick else cpu.BATCHES
        page.save("cpu", page.cpu_section(cpu.measure(tools, rounds, sizes), said))
    elif section == "calls":
        called = calls.measure(tools, rounds // 2 + 1, calls.QUICK if quick else calls.CASES)
        page.save("calls", page.calls_section(called, said))
        page.save("costs", page.costs_section(called, said))
    elif section == "requests":
        page.save("requests", page.requests_section(requests.measure(tools, rounds), said))
    elif section == "values":
        page.save("values", page.values_section(values.measure(tools, 2 * rounds), said))
    elif section == "cold":
        started = cold.measure(tools, 2 * rounds)
        byte_code = cold.has_byte_code(tools.package)
        page.save("cold", page.cold_section(started, cold.size_mb(tools.package), said, byte_code=byte_code))
    elif section == "growth":
        sizes = cpu.BATCHES[:4] if quick else cpu.BATCHES
        records = cpu.measure(tools, 3, sizes, only=(cpu.OURS,))
        page.save("growth", page.growth_section(growth.measure(tools, rounds, records), said))
    elif section == "locks":
        endpoint = os.environ.get(locks.ENDPOINT)
        if not endpoint:
            print(f"left out: {locks.ENDPOINT} names no DynamoDB Local", file=sys.stderr)
            return
        page.save("locks", page.locks_section(locks.measure(endpoint, rounds, 2 if quick else 4), said))
    else:
        page.save("local", page.local_section(local_rate.measure(40 if quick else 400), said))


def _conditions(tools: Toolchain, section: str, *, quick: bool) -> str:
    """Say when, with what and on what a section was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in tools.versions.items())
    own = tuple(map(int, tools.versions["Python"].split(".")[:2])) == LAMBDA_PYTHON
    note = (
        "the version of Lambda's runtime"
        if own
        else "not the version of Lambda's runtime, of which there was none here"
    )
    command = f'make bench ARGS="--only {section}{" --quick" if quick else ""}"'
    load = f"load {os.getloadavg()[0]:.1f}"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"*{now}; {versions} ({note}); {_cpu_name()}, {os.cpu_count()} cores, {load} at the start; `{command}`*"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown CPU"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    main()
