from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKED = ("integration", "simulation", "conformance", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # the folder is the mark, so that no file can forget it
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in MARKED:
            item.add_marker(getattr(pytest.mark, folder))
