"""The built package as Lambda starts it: from a folder that cannot be written, and without compiling anything.

Python itself reports what it opens and compiles (audit events), in a fresh process of the runtime's version. The modes
of the folder do not keep root from writing, so its files are compared as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.toolchain import LAMBDA_PYTHON, Toolchain
from tests.support.cloudformation import ROOT
from tests.support.variables import VARIABLES

pytestmark = pytest.mark.slow

START = """
import json, os, sys
compiled, opened = [], set()
def watch(event, arguments):
    if event == "compile" and str(arguments[1]).endswith(".py"):
        compiled.append(str(arguments[1]))
    if event == "open":
        opened.add(str(arguments[0]))
sys.addaudithook(watch)
import importlib
folder = sys.argv[1]
importlib.import_module(sys.argv[2])
loaded = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
ours = [spec for spec in loaded if (spec.origin or "").startswith(folder) and spec.origin.endswith(".py")]
print(json.dumps({
    "modules": [spec.name for spec in ours],
    "without": [spec.name for spec in ours if spec.cached not in opened or not os.path.exists(spec.cached)],
    "compiled": compiled,
    "sources": [file for file in opened if file.startswith(folder) and file.endswith(".py")],
}))
"""


@pytest.fixture(scope="module")
def python() -> str:
    """A Python of the runtime's version."""
    found = Toolchain.find().python
    script = f"import sys; sys.exit(sys.version_info[:2] != {LAMBDA_PYTHON})"
    if subprocess.run([found, "-c", script], check=False).returncode:
        pytest.skip(f"no Python {'.'.join(map(str, LAMBDA_PYTHON))} here")
    return found


WORKER = "shop.processor"
MODULES = {
    "Worker": {WORKER, "tablestream.worker", "botocore.session", "aws_lambda_powertools"},
    "Api": {"shop.api.app", "tablestream.dynamodb.table", "botocore.session", "pydantic.main"},
}
"""Modules that a start imports, by function."""


def build(function: str, python: str, folder: Path) -> Path:
    """The package, as `sam build` has it made."""
    make = ["make", "-s", "-C", str(ROOT / "src"), f"build-{function}", f"ARTIFACTS_DIR={folder}"]
    subprocess.run([*make, f"PYTHON={sys.executable}", f"PYTHON313={python}"], check=True)
    return folder


@pytest.fixture(scope="module")
def package(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("Worker", python, tmp_path_factory.mktemp("byte-code") / "package")


@pytest.fixture(scope="module")
def api(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("Api", python, tmp_path_factory.mktemp("byte-code") / "api")


@pytest.mark.parametrize(("function", "module"), [("Worker", WORKER), ("Api", "shop.api.app")])
def test_a_start_compiles_nothing_and_reads_no_source(
    python: str, package: Path, api: Path, function: str, module: str
) -> None:
    folder = {"Worker": package, "Api": api}[function]
    with read_only(folder):
        started = start(python, folder, module)

    assert MODULES[function] <= set(started["modules"])
    assert started["without"] == []
    assert started["compiled"] == []
    assert started["sources"] == []


def test_a_start_writes_nothing(python: str, package: Path) -> None:
    before = files(package)
    with read_only(package):
        start(python, package)

    assert files(package) == before


def test_the_apis_document_is_in_its_package_and_its_models_are_not_imported_for_a_start(
    python: str, api: Path
) -> None:
    document = json.loads((api / "shop" / "api" / "openapi.json").read_bytes())
    assert document["openapi"].startswith("3.1")
    assert "/users/{userId}" in document["paths"]
    started = start(python, api, "shop.api.app")["modules"]
    assert [name for name in started if name.endswith("openapi.models")] == []


def test_what_has_no_byte_code_would_be_noticed(python: str, package: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(package, tmp_path / "package")
    (compiled,) = (copy / "shop" / "stock" / "__pycache__").glob("ledger.*.pyc")
    compiled.unlink()
    with read_only(copy):
        started = start(python, copy)

    assert started["without"] == ["shop.stock.ledger"]
    assert started["compiled"] == started["sources"] == [str(copy / "shop" / "stock" / "ledger.py")]


def start(python: str, package: Path, module: str = WORKER) -> dict[str, Any]:
    """Import the handler; -B, because a start must not need to write what the next start needs."""
    answer = subprocess.run(
        [python, "-B", "-c", START, str(package), module],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "AWS_DEFAULT_REGION": "us-east-1", **VARIABLES},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    started: dict[str, Any] = json.loads(answer.stdout)
    return started


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take away the permission to write, as in Lambda's code folder."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(0o755)


def files(folder: Path) -> Mapping[Path, tuple[int, int]]:
    """Every file with its size and the time it was written."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}
