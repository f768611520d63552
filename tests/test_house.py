"""The layout of the code keeps its measure: see `tools/house.py`."""

from __future__ import annotations

from tools import house

FILES = house.sources()


def test_no_file_is_longer_than_a_reader_holds_in_mind() -> None:
    assert [str(file.path) for file in house.large(FILES)] == []


def test_arrows_point_down() -> None:
    assert house.upward_arrows(FILES) == []
