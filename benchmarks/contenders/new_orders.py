"""New orders against AWS, several ways: `python -m benchmarks.contenders.new_orders ours|one_by_one|threads`.

A JSON line names a file with an event; the answer is the wall and the CPU seconds of handling it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders.context import Context

Handler = Callable[[Any], None]


def ours() -> Handler:
    """Return the function as it is deployed; what it logs goes nowhere."""
    from shop.processor import handler  # reads the environment

    context: Any = Context()

    def handle(event: Any) -> None:
        answer = handler(event, context)
        assert answer == {"batchItemFailures": []}, answer

    return handle


def one_by_one() -> Handler:
    """Return a loop with a transaction and a message for each order."""
    from benchmarks.contenders.plain_orders import Plain  # only this contender's libraries

    plain = Plain(connections=1)

    def handle(event: Any) -> None:
        for record in event["Records"]:
            plain.process(record)

    return handle


def threads() -> Handler:
    """Return the same on sixteen threads."""
    from concurrent.futures import ThreadPoolExecutor  # only this contender's libraries

    from benchmarks.contenders.plain_orders import Plain  # likewise

    plain, pool = Plain(connections=16), ThreadPoolExecutor(16)

    def handle(event: Any) -> None:
        list(pool.map(plain.process, event["Records"]))

    return handle


def main() -> None:
    """Answer until the pipe is closed."""
    answers = sys.stdout
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- for as long as the process lives
    handle = {"ours": ours, "one_by_one": one_by_one, "threads": threads}[sys.argv[1]]()
    for line in sys.stdin:
        event = json.loads(Path(json.loads(line)["body"]).read_text(encoding="utf-8"))
        wall, cpu = time.perf_counter(), time.process_time()
        handle(event)
        print(
            json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}), file=answers, flush=True
        )


if __name__ == "__main__":
    main()
