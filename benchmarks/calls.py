"""Batches of new orders against a stub of AWS some milliseconds away: wall, CPU, calls and write units an order."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, Child
from benchmarks.records import Shop
from benchmarks.sampling import Sample, in_turn
from benchmarks.throttle import share_of_a_core
from benchmarks.toolchain import FOLDER, Toolchain
from tablestream.testing import event, inserted

OURS, ONE_BY_ONE, THREADS = "tablestream", "boto3, one by one", "boto3, 16 threads"
CONTENDERS = {OURS: "ours", ONE_BY_ONE: "one_by_one", THREADS: "threads"}

FULL = 1.0
MB_512 = 0.29
"""The share of a core that Lambda gives a function of 512 MB."""
MEMORY_MB = {FULL: 1769, MB_512: 512}


@dataclass(frozen=True, slots=True)
class Case:
    """One setting of the measurement."""

    goods: str = "distinct"
    orders: int = 100
    delay_ms: int = 5
    core: float = FULL

    @property
    def title(self) -> str:
        """Say what is different about it."""
        part = "a full core" if self.core >= FULL else f"{self.core} of a core"
        return f"{self.orders} orders, {GOODS[self.goods]}, {self.delay_ms} ms, {part}"


GOODS = {
    "distinct": "every line another product",
    "hot": "all lines of ten products",
    "recovery": "thirty products, stock for half, a tenth redelivered, 2 % withdrawn",
}

CASES = (
    *[Case(delay_ms=delay, core=core) for core in (FULL, MB_512) for delay in (1, 5, 20)],
    *[Case(goods, core=core) for core in (FULL, MB_512) for goods in ("hot", "recovery")],
    *[Case(orders=1000, core=core) for core in (FULL, MB_512)],
)
QUICK = (Case(), Case(core=MB_512), Case("recovery"))

Figures = Mapping[Case, Mapping[str, Mapping[str, Sample]]]
"""Case → contender → `wall` and `cpu` in ms an order, `calls`, `write_units`, `read_units`, `publishes` an order."""


def measure(tools: Toolchain, rounds: int, cases: tuple[Case, ...] = CASES) -> Figures:
    """Measure all contenders in turn."""
    with ExitStack() as stack:
        port = stack.enter_context(stub(tools))
        children = {
            core: {
                name: stack.enter_context(start(tools, port, contender, core)) for name, contender in CONTENDERS.items()
            }
            for core in {case.core for case in cases}
        }
        return {
            case: in_turn(
                {name: _question(child, port, case) for name, child in children[case.core].items()},
                rounds if case.orders < 1000 else 1,
            )
            for case in cases
        }


@contextmanager
def stub(tools: Toolchain) -> Iterator[int]:
    """Start the stub; yield its port."""
    command = [tools.python, "-m", "benchmarks.aws_stub"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def start(tools: Toolchain, port: int, contender: str, core: float) -> Child:
    """Start a contender whose AWS is the stub, as a function that Lambda gives so much of a core."""
    libraries = tools.package if contender == "ours" else tools.peers
    command = [tools.python, "-m", "benchmarks.contenders.new_orders", contender]
    sources = (libraries,) if contender == "ours" else (libraries, ROOT / "src")
    return Child(command, {**tools.path(*sources), **environment(port, core)})


def environment(port: int, core: float = FULL) -> dict[str, str]:
    """Return the variables of the deployed function, with AWS on a local port."""
    return {
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MB[core]),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "TABLE_NAME": "orders",
        "INVENTORY_TABLE": "inventory",
        "JOURNAL_TABLE": "journal",
        "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:orders",
        "FAILURES_BUCKET": "failures",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "Bench",
    }


def control(port: int, settings: Mapping[str, Any]) -> dict[str, int]:
    """Set the stub's state; return what it counted until now."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/control", json.dumps(settings).encode())
    with urllib.request.urlopen(request) as answer:  # noqa: S310 -- likewise
        counted: dict[str, int] = json.load(answer)
    return counted


def prepare(case: Case) -> tuple[Path, dict[str, Any]]:
    """Write the event of a case; return it with the state that the stub begins with."""
    shop = Shop()
    pools = {"hot": 10, "recovery": 30}
    numbers = iter(range(sys.maxsize))
    pool = pools.get(case.goods)
    products = [f"SKU-{next(numbers) % pool if pool else next(numbers):06d}" for _ in range(3 * case.orders)]
    names = iter(products)
    orders = [shop.order(product=lambda _line: next(names)) for _ in range(case.orders)]
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"orders-{case.goods}-{case.orders}.json"
    path.write_text(json.dumps(event(*[inserted(order) for order in orders])), encoding="utf-8")
    state: dict[str, Any] = {"delay_ms": case.delay_ms, "order_kb": 1}
    if case.goods == "recovery":
        wanted = sum(line["quantity"] for order in orders for line in order["items"])
        state["default_stock"] = wanted // 30 // 2
        state["decided"] = [order["sk"] for order in orders[::10]]
        state["withdrawn"] = [order["sk"] for order in orders[5::50]]
    return path, state


def _question(child: Child, port: int, case: Case) -> Callable[[], Mapping[str, float]]:
    path, state = prepare(case)

    def ask() -> Mapping[str, float]:
        control(port, state)
        with share_of_a_core(child.pid, case.core):
            answer = child.ask(body=str(path))
        counted = control(port, {})
        decided = counted.get("reserved", 0) + counted.get("rejected", 0) + counted.get("withdrawn", 0)
        assert decided == case.orders - len(state.get("decided", ())), counted
        figures = {name: counted.get(name, 0) / case.orders for name in _COUNTED}
        return {"wall": answer["wall"] * 1000 / case.orders, "cpu": answer["cpu"] * 1000 / case.orders, **figures}

    return ask


_COUNTED = ("calls", "write_units", "read_units", "publishes", "messages", "rejected")
