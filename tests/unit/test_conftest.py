"""What holds for every test, wherever it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.conftest import HERE, KINDS, kind_of


def test_no_example_depends_on_the_speed_of_the_machine_nor_on_an_earlier_run() -> None:
    assert settings.get_current_profile_name() == "everywhere"
    used = settings()
    assert (used.deadline, used.derandomize, used.database) == (None, True, None)


def test_every_file_of_tests_has_a_kind_and_every_kind_is_of_a_path_that_exists() -> None:
    files = [path.relative_to(HERE) for path in HERE.rglob("test_*.py")]
    assert {kind_of(path) for path in files} == {"unit", "integration", "simulation", "e2e"}
    assert [path for path in KINDS if not (HERE / path).exists()] == []


def test_the_kind_is_the_markers_and_the_nearest_path_decides(request: pytest.FixtureRequest) -> None:
    assert [mark.name for mark in request.node.iter_markers()] == ["unit"]
    assert kind_of(Path("conformance/test_source.py")) == "integration"
    assert kind_of(Path("conformance/test_shards.py")) == "unit"


def test_a_folder_without_a_kind_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match=r"none for tests/new/test_it\.py"):
        kind_of(Path("new/test_it.py"))
