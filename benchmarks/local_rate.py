"""`make local`: how many writes a second it keeps up with, and how long a write takes to reach the handler."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks.children import ROOT, clean_environment
from benchmarks.records import Shop
from benchmarks.toolchain import FOLDER
from tablestream.testing import image

_HOME = FOLDER / "local"
_PATIENCE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, with a batching window of zero."""

    steady_rate: float
    latency_ms: tuple[float, float]
    """From the answer to the write to the start of the handler at the steady rate: median and nine of ten."""
    flat_out_rate: float
    """Orders a second from the first write to the end of the last handler, written as fast as one client can."""


def measure(orders: int) -> Figures:
    """Write orders at a steady rate, then as many as fast as possible."""
    steady = 5.0
    with _up() as (endpoint, outputs):
        client: Any = boto3.client("dynamodb", endpoint_url=endpoint, region_name="us-east-1", **_CREDENTIALS)
        table, shop = outputs["TableName"], Shop()
        for product in range(3):
            stock = {"pk": f"PRODUCT#SKU-{product}", "sk": "STOCK", "productId": f"SKU-{product}", "available": 10**6}
            client.put_item(TableName=outputs["InventoryTableName"], Item=image(stock))
        written = _write(client, table, shop, orders // 4, 1 / steady)
        handled = _handled(written)
        latencies = sorted((handled[order][0] - at) * 1000 for order, at in written.items())
        begun = time.time()
        flat_out = _write(client, table, shop, orders, 0)
        ended = max(end for _, end in _handled(flat_out).values())
    nine_of_ten = latencies[len(latencies) * 9 // 10]
    return Figures(steady, (statistics.median(latencies), nine_of_ten), orders / (ended - begun))


_CREDENTIALS: dict[str, Any] = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}


@contextmanager
def _up() -> Iterator[tuple[str, dict[str, str]]]:
    shutil.rmtree(_HOME, ignore_errors=True)
    _HOME.mkdir(parents=True)
    settings = ["--port", "0", "--parameter", "BatchWindow=0", "--record", str(_HOME / "deliveries")]
    command = [sys.executable, "-m", "tablestream.local", "up", "--template", str(ROOT / "template.yaml"), *settings]
    variables = {**clean_environment(), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen(command, cwd=_HOME, env=variables, stdout=subprocess.DEVNULL) as process:
        try:
            state = _when_there(_HOME / ".local" / "up.json")
            yield state["endpoint"], state["outputs"]
        finally:
            process.terminate()


def _when_there(path: Path) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if path.exists():
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return state
        time.sleep(0.1)
    raise TimeoutError(f"wanted {path} within {_PATIENCE_SECONDS} s")


def _write(client: Any, table: str, shop: Shop, orders: int, pause: float) -> dict[str, float]:
    written: dict[str, float] = {}
    for _ in range(orders):
        order = shop.order(product=lambda line: f"SKU-{line}")
        client.put_item(TableName=table, Item=image(order))
        written[order["sk"]] = time.time()
        time.sleep(pause)
    return written


def _handled(written: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Wait until every new order was handled; return when its handler began and ended."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        found: dict[str, tuple[float, float]] = {}
        for line in (_HOME / "deliveries").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            for record in entry["event"]["Records"]:
                if record["eventName"] == "INSERT":
                    sk = record["dynamodb"]["Keys"]["sk"]["S"]
                    found.setdefault(sk, (entry["at"] - entry["seconds"], entry["at"]))
        if written.keys() <= found.keys():
            return found
        time.sleep(0.5)
    raise TimeoutError(f"wanted {len(written)} orders handled within {_PATIENCE_SECONDS} s")
