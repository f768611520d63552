"""A cold start: imports a function, calls it once, and prints what that took above the start of Python itself.

`python -m benchmarks.contenders.cold MODULE EVENT DEPTH`: the import begins so many calls deep.
"""

from __future__ import annotations

import sys
import time

BEGUN = time.perf_counter(), time.process_time()


def main() -> None:
    """Import, measure, call, measure."""
    import importlib  # nothing may be imported before the clock runs

    module = importlib.import_module(f"benchmarks.contenders.{sys.argv[1]}")
    imported = time.perf_counter(), time.process_time()

    import json  # for the event, which is not part of the cold start
    from pathlib import Path  # likewise

    from benchmarks.contenders.context import Context  # likewise

    event = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    begun = time.perf_counter(), time.process_time()
    module.handler(event, Context())
    ended = time.perf_counter(), time.process_time()
    init = [now - then for now, then in zip(imported, BEGUN, strict=True)]
    first = [now - then for now, then in zip(ended, begun, strict=True)]
    print("\n" + json.dumps({"init": init, "first": [a + b for a, b in zip(init, first, strict=True)]}))


def begin(depth: int) -> None:
    """Begin so many calls deep."""
    if depth:
        begin(depth - 1)
    else:
        main()


if __name__ == "__main__":
    begin(int(sys.argv[3]))
