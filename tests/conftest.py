from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import botocore.loaders
import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

HERE = Path(__file__).parent
KINDS = {
    "unit": "unit",
    "conformance": "unit",
    "conformance/test_source.py": "integration",
    "docs": "unit",
    "examples": "unit",
    "examples/test_counter_exactly_once.py": "integration",
    "test_house.py": "unit",
    "test_way.py": "integration",
    "integration": "integration",
    "contracts": "integration",
    "package": "integration",
    "package/test_trim_botocore.py": "unit",
    "template": "integration",
    "simulation": "simulation",
    "kill_api": "integration",
    "foreign": "integration",
    "browser": "e2e",
    "e2e": "e2e",
}
"""The marker of each folder, and of each file that is of another kind than its folder."""

UNCOUNTED = (
    "simulation/",
    "integration/local/",
    "integration/shop/test_bad_input",
    "integration/shop/test_hostile_answers",
    "template/",
)
"""How the paths begin of tests that are not counted for coverage; property tests are not either.

To be counted takes twice the time, and here it adds nothing: either the same code is run through hundreds of times, or
what is tested is itself left out (`tool.coverage.run`).
"""

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
    # The folder is the marker, so that no file can forget it.
    for item in items:
        path = item.path.relative_to(HERE)
        item.add_marker(kind_of(path))
        if path.as_posix().startswith(UNCOUNTED) or is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("uncounted")


def kind_of(path: Path) -> str:
    """Return the marker of a file; raises `UsageError` for a file in a folder that has none."""
    for part in (path, *path.parents):
        if (kind := KINDS.get(part.as_posix())) is not None:
            return kind
    raise pytest.UsageError(f"wanted a kind in tests/conftest.py for each folder of tests, found none for tests/{path}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    # Not by the marker no_cover of pytest-cov: in the processes of xdist it measures twice, and ends only one of them.
    if item.get_closest_marker("uncounted") is None:
        return (yield)
    here, threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(cast("Any", None))
    try:
        return (yield)
    finally:
        sys.settrace(here)
        threading.settrace(cast("Any", threads))


def pytest_collection_finish() -> None:
    # What was imported and collected stays: the garbage collector need not look at it again and again.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def models_read_once() -> Iterator[None]:
    """Every session of boto3 reads anew what botocore knows of a service: half the time of a test of a command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.loaders, "create_loader", cache(botocore.loaders.create_loader))
        yield


@pytest.fixture(autouse=True)
def own_logger() -> Iterator[None]:
    """A worker that is connected in a test may give the library's logger a handler: each test begins without."""
    logger = logging.getLogger("tablestream")
    before = logger.handlers[:], logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = before[0], before[1]
    logger.setLevel(before[2])
