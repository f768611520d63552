from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e import sam


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of the package as `sam build` makes it."""
    if not sam.SAM.is_file():
        assert not os.environ.get("REQUIRE_DOCKER"), f"no {sam.SAM}"
        pytest.skip("no SAM CLI in .venv-sam (make e2e installs it)")
    return sam.build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def built(package: Path) -> Path:
    """The same, where its function can run in a container."""
    if reason := sam.missing():
        assert not os.environ.get("REQUIRE_DOCKER"), reason
        pytest.skip(reason)
    return package
