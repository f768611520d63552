"""Serves one Python contender: `python -m benchmarks.contenders.serve NAME`, then a JSON line for each measurement.

{"body": FILE, "records": N, "groups": G} is answered with nanoseconds of CPU for parsing and for processing, summed
over G rounds. A round parses the body anew, so that nothing is warm that would not be warm in Lambda.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time_ns
from typing import Any

Handler = Callable[[Any], object]


def main() -> None:
    """Answer until the pipe is closed."""
    answers = sys.stdout
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- what it logs, as long as it lives
    module = importlib.import_module(f"benchmarks.contenders.{sys.argv[1]}")
    handler: Handler = module.handler
    bodies: dict[str, str] = {}
    for line in sys.stdin:
        question = json.loads(line)
        path = question["body"]
        if path not in bodies:
            bodies.clear()
            bodies[path] = Path(path).read_text(encoding="utf-8")
        measured = _measure(handler, bodies[path], question["groups"], question["copies"])
        print(json.dumps(measured), file=answers, flush=True)


def _measure(handler: Handler, body: str, groups: int, copies: int) -> dict[str, float]:
    """Time `groups` times `copies` events: small events are timed several at once, the clock itself takes time."""
    parsing = processing = 0
    for _ in range(groups):
        begun = process_time_ns()
        events = [json.loads(body) for _ in range(copies)]
        parsed = process_time_ns()
        for event in events:
            handler(event)
        processing += process_time_ns() - parsed
        parsing += parsed - begun
        del events, event
    return {
        "parse": parsing / groups / copies,
        "process": processing / groups / copies,
        "peak_kb": _peak_kb(),
    }


def _peak_kb() -> float:
    """Return the peak of resident memory of this program (getrusage would include the process that started it)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return float(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
