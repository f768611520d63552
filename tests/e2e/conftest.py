from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e import sam


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of the package as `sam build` makes it."""
    if reason := sam.missing():
        assert not os.environ.get("REQUIRE_DOCKER"), reason
        pytest.skip(reason)
    return sam.build(tmp_path_factory.mktemp("package"))
