"""`sam build --use-container` mounts the folder in CodeUri and nothing else: the package can be built of that alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.cloudformation import ROOT

PIN = re.compile(r"^([a-z0-9-]+(?:\[[a-z,]+\])?==\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE)


def pins(path: Path) -> Mapping[str, str]:
    """The hashes by name and version."""
    return dict(PIN.findall(path.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_the_package_is_built_of_a_copy_of_the_folder_with_nothing_around_it(tmp_path: Path) -> None:
    mounted, artifacts = tmp_path / "alone" / "source", tmp_path / "artifacts"
    shutil.copytree(ROOT / "src", mounted, ignore=shutil.ignore_patterns("__pycache__"))
    make = ["make", "-s", "-C", str(mounted), "build-Worker", f"ARTIFACTS_DIR={artifacts}", f"PYTHON={sys.executable}"]
    done = subprocess.run(make, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert {"shop", "tablestream", "botocore", "aws_lambda_powertools"} <= {path.name for path in artifacts.iterdir()}


def test_the_makefile_names_nothing_outside_its_folder() -> None:
    assert ".." not in (ROOT / "src" / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["requirements.txt", "requirements-api.txt"])
@pytest.mark.parametrize("layer", ["local", "dev"])
def test_the_versions_in_the_packages_are_those_that_are_tested(layer: str, package: str) -> None:
    packaged, tested = pins(ROOT / "src" / package), pins(ROOT / "requirements" / f"{layer}.txt")

    assert len(packaged) > 5
    assert packaged.items() <= tested.items()
