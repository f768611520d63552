"""How cost grows with the records of a batch, the changes of one item, the lines of an order; memory of a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cpu
from benchmarks.children import Child
from benchmarks.records import Shop, mixed_event
from benchmarks.sampling import exponent, in_turn
from benchmarks.toolchain import FOLDER, Toolchain
from tablestream.testing import event, inserted, modified

CHANGES = (1, 3, 10, 30, 100)
LINES = (1, 3, 10, 30, 90)
ORDERS = 20
PAYLOAD_BYTES = 6_000_000
_STATUSES = ("confirmed", "shipped")


@dataclass(frozen=True, slots=True)
class Growth:
    """Microseconds of CPU for an event, by size, with the exponent."""

    points: Mapping[int, float]

    @property
    def exponent(self) -> float:
        """One is linear. What an invocation costs before its first record makes it less."""
        return exponent([(size, cost) for size, cost in self.points.items()])


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything about growth."""

    records: Growth
    changes: Growth
    lines: Growth
    memory_mb: float
    """Peak resident memory above the imports while the largest event that Lambda sends is parsed and processed."""
    memory_records: int


def measure(tools: Toolchain, rounds: int, records: cpu.Figures) -> Figures:
    """Measure; what is known from the batches of records is not measured again."""
    # The shop's handlers look at an order's lines.
    serve = [tools.python, "-m", "benchmarks.contenders.serve", "ours_shop"]
    with Child(serve, tools.path(tools.package)) as child:
        changes = _grow(child, rounds, {size: _changes(size) for size in CHANGES})
        lines = _grow(child, rounds, {size: _lines(size) for size in LINES})
    with Child(serve, tools.path(tools.package)) as fresh:
        memory_mb, count = _memory(fresh)
    by_size = Growth({size: group[cpu.OURS]["process"].median * size for size, group in records.items()})
    return Figures(by_size, changes, lines, memory_mb, count)


def _grow(child: Child, rounds: int, bodies: Mapping[int, Path]) -> Growth:
    def ask(size: int) -> Mapping[str, float]:
        groups = max(1, 200 // size)
        return {"cpu": child.ask(body=str(bodies[size]), copies=5, groups=groups)["process"] / 1000}

    found = in_turn({str(size): lambda size=size: ask(size) for size in bodies}, rounds)  # type: ignore[misc]  # mypy does not infer a lambda's default
    return Growth({int(size): figures["cpu"].median for size, figures in found.items()})


def _changes(count: int) -> Path:
    """Write an event of one order placed and changed so many times."""
    order = Shop().order()
    records = [inserted(order)]
    for number in range(count - 1):
        changed = {**order, "status": _STATUSES[number % 2], "version": number + 2}
        records.append(modified(order, changed))
        order = changed
    return _write(f"changes-{count}", json.dumps(event(*records)))


def _lines(count: int) -> Path:
    """Write an event of some new orders with so many lines each."""
    shop = Shop(lines=count)
    return _write(f"lines-{count}", json.dumps(event(*[inserted(shop.order()) for _ in range(ORDERS)])))


def _memory(child: Child) -> tuple[float, int]:
    count = 1000
    count = count * PAYLOAD_BYTES // len(mixed_event(count))
    small, large = _write("mixed-small", mixed_event(1)), _write("mixed-6mb", mixed_event(count))
    before = child.ask(body=str(small), copies=1, groups=3)["peak_kb"]
    after = child.ask(body=str(large), copies=1, groups=3)["peak_kb"]
    return (after - before) / 1024, count


def _write(name: str, text: str) -> Path:
    path = FOLDER / f"{name}.json"
    path.write_text(text, encoding="utf-8")
    return path
