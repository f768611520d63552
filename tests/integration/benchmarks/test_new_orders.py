"""What `make bench` compares does the same work: the same decisions, messages and stock, for each contender."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import calls
from benchmarks.children import ROOT, Child

ORDERS = 20


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.aws_stub"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as stub:
        assert stub.stdout is not None
        yield int(stub.stdout.readline())
        stub.kill()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources without what the deployed package leaves out."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("local", "ops", "testing"))
    return folder


@pytest.mark.parametrize("goods", calls.GOODS)
@pytest.mark.parametrize("contender", calls.CONTENDERS.values())
def test_each_contender_decides_all_orders_and_tells_of_them(
    contender: str, goods: str, port: int, package: Path
) -> None:
    path, state = calls.prepare(calls.Case(goods, orders=ORDERS, delay_ms=0))
    sources = {"PYTHONPATH": f"{package}:{ROOT}", **calls.environment(port)}
    calls.control(port, state)
    with Child([sys.executable, "-m", "benchmarks.contenders.new_orders", contender], sources) as child:
        child.ask(body=str(path))
    counted = calls.control(port, {})
    decided = {name: counted.get(name, 0) for name in ("reserved", "rejected", "withdrawn")}
    assert sum(decided.values()) == ORDERS - len(state.get("decided", ()))
    assert counted["messages"] == ORDERS
    assert (decided["rejected"] > 0) == (goods == "recovery")
