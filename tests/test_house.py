"""The layout of the code keeps its measure: see `tools/house.py`."""

from __future__ import annotations

import ast
from pathlib import Path

from tools import house

FILES = house.sources()


def test_a_floor_holds_few_files() -> None:
    assert {floor: count for floor, count in house.floors(FILES).items() if count > 16} == {}


def test_few_files_are_too_small_for_a_subject() -> None:
    assert len(house.small(FILES)) <= 12


def test_no_file_is_longer_than_a_reader_holds_in_mind() -> None:
    assert [str(file.path) for file in house.large(FILES)] == []


def test_few_files_are_a_section_of_their_only_importer() -> None:
    assert len(house.single_importers(FILES)) <= 12


def test_a_name_means_one_thing() -> None:
    assert house.names_with_two_meanings(FILES) == {}


def test_no_first_line_is_a_riddle() -> None:
    assert house.riddles(FILES) == []


def test_arrows_point_down() -> None:
    assert house.upward_arrows(FILES) == []


def test_the_linter_is_seldom_asked_to_look_away() -> None:
    assert house.unchecked(FILES) <= 25


def _file(path: str, text: str) -> house.Source:
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return house.Source(Path(path), module, text.count("\n"), ast.parse(text))


def test_a_module_with_one_importer_is_a_section_of_it() -> None:
    files = [_file("a.py", "import b\n"), _file("b.py", "")]
    assert house.single_importers(files) == ["b"]


def test_a_name_that_a_face_hands_on_is_imported_from_where_it_is_defined() -> None:
    face, part, user = _file("p/__init__.py", "from p.part import x\n"), _file("p/part.py", ""), "from p import x\n"
    assert house.single_importers([face, part, _file("one.py", user), _file("two.py", user)]) == []
    assert house.single_importers([face, part, _file("one.py", "from p.part import x\n")]) == []


def test_a_module_of_a_face_only_is_no_section_of_it() -> None:
    assert house.single_importers([_file("p/__main__.py", "import c\n"), _file("c.py", "")]) == []
