"""`python -m tests.fuzz_api` (`make fuzz-api`): schemathesis against the HTTP API of `make local`, with all its checks.

It reads the OpenAPI document that the API serves, makes requests that fit it and requests that do not, and follows what
answers name (a user that was made is read, changed, deleted and read again). More arguments are schemathesis's own.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.local_shop import ROOT, local_shop

SCHEMATHESIS = ROOT / ".venv-fuzz" / "bin" / "schemathesis"
CONFIG = ROOT / "tests" / "schemathesis.toml"
_SETTINGS = ("--checks", "all", "--seed", "20261126", "--max-examples", "40", "--no-color")


def main() -> int:
    """Serve the API, let schemathesis ask it, and return its exit status."""
    with local_shop() as shop:
        run = [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{shop.api}/openapi.json"]
        variables = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks", "PYTHONPATH": str(ROOT)}
        return subprocess.run([*run, *_SETTINGS, *sys.argv[1:]], env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
