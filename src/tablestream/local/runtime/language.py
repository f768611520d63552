"""The languages in which functions run here: Python by this interpreter, and JavaScript where `node` is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tablestream.local.runtime.function import FunctionSpec

PYTHON_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
NODE_BOOTSTRAP = Path(__file__).with_name("bootstrap.mjs")
_NODE_MODULES = ("nodejs/node_modules", "node_modules")
"""Where a layer may have them."""


def is_node(runtime: str) -> bool:
    """Tell whether a runtime, by Lambda's name of it, is one of Node.js."""
    return runtime.startswith("nodejs")


def why_not(runtime: str) -> str | None:
    """The reason for which no function of this runtime can run here; None where it can."""
    if is_node(runtime):
        return None if shutil.which("node") else f"Runtime is {runtime}, and there is no `node` on this machine's PATH"
    if runtime.startswith("python") or not runtime:
        return None
    return f"Runtime is {runtime}: only Python and Node.js functions run here"


def own_version(runtime: str) -> str:
    """Return the runtime with which a function of this one runs here, by Lambda's name of it."""
    if is_node(runtime):
        return f"nodejs{_node_version()}.x"
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def sources(runtime: str) -> tuple[str, ...]:
    """The endings of the files in which the source of a function is."""
    return (".js", ".mjs", ".cjs") if is_node(runtime) else (".py",)


def command(function: FunctionSpec, reads: int, writes: int) -> list[str]:
    """The program that runs a function, with the descriptors of its pipes."""
    own = str(function.code.resolve())
    if is_node(function.runtime):
        return ["node", str(NODE_BOOTSTRAP), str(reads), str(writes), function.handler, own]
    layers = [str(folder.resolve()) for folder in function.layers]
    # -P: the bootstrap's own folder must not be on the handler's import path.
    return [sys.executable, "-P", str(PYTHON_BOOTSTRAP), str(reads), str(writes), function.handler, own, *layers]


def variables(function: FunctionSpec) -> Mapping[str, str]:
    """The environment variables that the language of a function wants."""
    if not is_node(function.runtime):
        return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {"NODE_PATH": ":".join(_modules([folder.resolve() for folder in function.layers]))}


def _modules(layers: Sequence[Path]) -> list[str]:
    return [str(layer / place) for layer in layers for place in _NODE_MODULES if (layer / place).is_dir()]


@cache
def _node_version() -> str:
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", done.stdout)
    return found[1] if found else "?"
