"""`python -m tests.fuzz_api` (`make fuzz-api`): schemathesis against the HTTP API of `make local`, with all its checks.

It reads the OpenAPI document that the API serves, makes requests that fit it and requests that do not, and follows what
answers name (a user that was made is read, changed, deleted and read again). More arguments are schemathesis's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMATHESIS = ROOT / ".venv-fuzz" / "bin" / "schemathesis"
_PATIENCE_SECONDS = 90.0
CONFIG = ROOT / "tests" / "schemathesis.toml"
_SETTINGS = ("--checks", "all", "--seed", "20261126", "--max-examples", "40", "--no-color")


def main() -> int:
    """Serve the API, let schemathesis ask it, and return its exit status."""
    with served() as url:
        run = [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{url}/openapi.json"]
        variables = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks", "PYTHONPATH": str(ROOT)}
        return subprocess.run([*run, *_SETTINGS, *sys.argv[1:]], env=variables, check=False).returncode


@contextmanager
def served() -> Iterator[str]:
    """Serve the shop's API on a free port while the with block runs; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / ".local" / "up.json"
        up = [
            sys.executable,
            "-m",
            "demo",
            "up",
            "--template",
            str(ROOT / "template.yaml"),
            "--port",
            "0",
            "--api-port",
            "0",
        ]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        with subprocess.Popen(up, cwd=folder, env=variables, stdout=subprocess.DEVNULL) as process:
            try:
                yield _address(state, process)
            finally:
                process.terminate()


def _address(state: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if state.exists():
            (url,) = json.loads(state.read_text(encoding="utf-8"))["apis"].values()
            return str(url)
        time.sleep(0.1)
    raise RuntimeError(f"wanted a running API, got none within {_PATIENCE_SECONDS} s (exit status {process.poll()})")


if __name__ == "__main__":
    sys.exit(main())
