"""The shop as `make local` runs it, in a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ANY_PORTS = ("--port=0", "--api-port=0", "--page-port=0")
PRODUCT, PAYER, RECEIVER = "tea", "payer", "receiver"
"""There when the API is asked at random: more of it than is ordered, and two accounts."""
_PATIENCE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class LocalShop:
    """Where it answers, its page with the token in its address, and the process that runs it."""

    api: str
    endpoint: str
    page: str
    outputs: Mapping[str, str]
    pid: int


@contextmanager
def local_shop() -> Iterator[LocalShop]:
    """Run it on free ports while the with block runs."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / ".local" / "up.json"
        up = [sys.executable, "-m", "demo", "up", "--template", str(ROOT / "template.yaml"), *ANY_PORTS]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        with subprocess.Popen(up, cwd=folder, env=variables, stdout=subprocess.DEVNULL) as process:
            try:
                told = _told(state, process)
                (api,) = told["apis"].values()
                yield LocalShop(api, told["endpoint"], told["page"], told["outputs"], process.pid)
            finally:
                process.terminate()


def _told(state: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if state.exists():
            told: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
            return told
        time.sleep(0.1)
    raise RuntimeError(f"wanted a running shop, got none within {_PATIENCE_SECONDS} s (exit status {process.poll()})")
