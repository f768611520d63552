from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
MARKED = ("integration", "simulation", "conformance", "e2e")

# One profile wherever the tests run (Hypothesis would take one of its own where CI is set), and no outcome that depends
# on the speed of the machine, on chance or on an earlier run.
settings.register_profile(
    "everywhere",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("everywhere")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # the folder is the mark, so that no file can forget it
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in MARKED:
            item.add_marker(getattr(pytest.mark, folder))
