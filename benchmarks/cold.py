"""Cold starts: a fresh process of the built package, to the end of init and to the first answer."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import requests
from benchmarks.calls import Case, control, environment, prepare, stub
from benchmarks.children import ROOT, clean_environment
from benchmarks.sampling import Sample, in_turn
from benchmarks.toolchain import FOLDER, Toolchain

OURS, PEER = "tablestream", "boto3 resource + Powertools batch"
API = "tablestream, the HTTP function"
WITHOUT = "{}, without .pyc"

Figures = Mapping[str, Mapping[str, Sample]]
"""Contender → `init_cpu`, `init_wall`, `first_cpu`, `first_wall` in milliseconds."""


def measure(tools: Toolchain, rounds: int) -> Figures:
    """Start every contender in turn, with an order to process and AWS at once."""
    path, state = prepare(Case(orders=1, delay_ms=0))
    folders = {OURS: ("cold_ours", tools.package), PEER: ("cold_peer", tools.peers)}
    bare = {
        WITHOUT.format(name): (module, _without_byte_code(folder, module)) for name, (module, folder) in folders.items()
    }
    request = requests.written()["GET a user"]
    with stub(tools) as port:
        contenders = {
            name: _start(tools, module, folder, path, lambda: control(port, state), environment(port))
            for name, (module, folder) in {**folders, **bare}.items()
        }
        contenders[API] = _start(
            tools, "api.cold", tools.api_package, request, lambda: control(port, requests.answers()), environment(port)
        )
        return in_turn(contenders, rounds)


def _without_byte_code(folder: Path, name: str) -> Path:
    copy = FOLDER / f"{name}-without-pyc"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _start(
    tools: Toolchain, module: str, folder: Path, event: Path, reset: Callable[[], object], variables: Mapping[str, str]
) -> Callable[[], Mapping[str, float]]:
    # -B: Lambda's code folder is read-only, so byte code that is missing is made anew at every start.
    command = [tools.python, "-B", "-m", "benchmarks.contenders.cold", module, str(event)]
    # Python takes memory for its frames by 16 kB. A loop of calls that crosses such a border over and over, as the
    # compiler of regular expressions does at some depths, takes four times as long: so each start is at another one.
    depths = itertools.cycle(range(0, 90, 10))
    settings = {**clean_environment(), **tools.path(folder), **variables}

    def start() -> Mapping[str, float]:
        reset()
        begun = [*command, str(next(depths))]
        output = subprocess.run(begun, check=True, capture_output=True, text=True, cwd=ROOT, env=settings).stdout
        (init_wall, init_cpu), (first_wall, first_cpu) = json.loads(output.strip().rpartition("\n")[2]).values()
        figures = {"init_cpu": init_cpu, "init_wall": init_wall, "first_cpu": first_cpu, "first_wall": first_wall}
        return {name: seconds * 1000 for name, seconds in figures.items()}

    return start


def has_byte_code(package: Path) -> bool:
    """Tell whether the package holds byte code for each of its own modules."""
    return all(
        any((module.parent / "__pycache__").glob(f"{module.stem}.cpython-3*.pyc"))
        for module in package.glob("shop/**/*.py")
    )


def size_mb(package: Path) -> float:
    """Return the size of a folder's files in MB."""
    return sum(os.path.getsize(path) for path in package.rglob("*") if path.is_file()) / 1e6  # noqa: PTH202 -- links count as what they are
