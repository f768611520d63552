"""The packages of both functions: what each holds, and that each runs on both architectures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cloudformation import ROOT

MACHINES = {"x86_64", "aarch64"}
ON_A_LAPTOP = {"tablestream/local", "tablestream/ops", "tablestream/simulation", "tablestream/testing"}


def build(function: str, folder: Path, **variables: str) -> Path:
    given = [f"{name}={value}" for name, value in variables.items()]
    make = ["make", "-s", "-C", str(ROOT / "src"), f"build-{function}", f"ARTIFACTS_DIR={folder}", *given]
    done = subprocess.run([*make, f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("Api", tmp_path_factory.mktemp("packages") / "Api")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("Worker", tmp_path_factory.mktemp("packages") / "Worker")


def libraries(package: Path) -> set[str]:
    return {path.name.split("-")[0].replace("_", "-") for path in package.glob("*.dist-info")}


def pinned(file: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "src" / file).read_text("utf-8"), re.MULTILINE))


@pytest.mark.slow
def test_the_apis_package_holds_the_machine_code_of_both_architectures(api: Path) -> None:
    compiled = [path.relative_to(api) for path in api.rglob("*.so")]
    assert {path.parts[0] for path in compiled} == {"pydantic_core"}
    assert sorted(path.name.split("-")[2] for path in compiled) == sorted(MACHINES)


@pytest.mark.slow
def test_the_package_of_one_architecture_can_be_asked_for(tmp_path: Path) -> None:
    api = build("Api", tmp_path / "Api", ARCHITECTURE="aarch64")
    compiled = [path.name for path in api.rglob("*.so")]
    assert compiled
    assert all("aarch64" in name for name in compiled)


@pytest.mark.slow
def test_each_package_holds_its_own_requirements(api: Path, worker: Path) -> None:
    assert libraries(api) == pinned("requirements-api.txt")
    assert libraries(worker) == pinned("requirements.txt")


@pytest.mark.slow
def test_the_worker_carries_nothing_of_the_api(worker: Path) -> None:
    assert not list(worker.rglob("*.so"))
    assert not list(worker.glob("pydantic*"))
    assert not (worker / "shop" / "api").exists()
    assert not (worker / "shop" / "stores").exists()


@pytest.mark.slow
def test_what_runs_on_a_laptop_and_what_only_builds_need_is_in_neither(api: Path, worker: Path) -> None:
    for package in (api, worker):
        assert not [name for name in ON_A_LAPTOP if (package / name).exists()]
        assert not [path.name for path in package.iterdir() if path.suffix == ".txt" or path.name.startswith(".")]
