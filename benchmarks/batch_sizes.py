"""AWS calls and capacity an order by the size of the batch: `python -m benchmarks.batch_sizes` prints the table.

These are counts, the same in every run: docs/tuning.md quotes them.
"""

from __future__ import annotations

from benchmarks.calls import FULL, GOODS, Case, control, prepare, start, stub
from benchmarks.toolchain import Toolchain

SIZES = (1, 10, 100, 1000)
COLUMNS = ("calls", "write_units", "read_units", "publishes")


def main() -> None:
    """Send one batch of each size to the built package and print what the stub of AWS has counted."""
    tools = Toolchain.find()
    print("| orders in a batch | products | calls | write units | read units | publishes |")
    print("| --: | --- | --: | --: | --: | --: |")
    with stub(tools) as port, start(tools, port, "ours", FULL) as child:
        for goods in ("distinct", "hot"):
            for size in SIZES:
                path, state = prepare(Case(goods, orders=size, delay_ms=0))
                control(port, state)
                child.ask(body=str(path))
                counted = control(port, {})
                figures = " | ".join(f"{counted.get(name, 0) / size:.2f}" for name in COLUMNS)
                print(f"| {size} | {GOODS[goods]} | {figures} |")


if __name__ == "__main__":
    main()
