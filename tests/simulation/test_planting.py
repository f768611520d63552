"""Planting a slip: what it needs to find, and what does not matter to it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.simulation.planting import CannotBePlantedError, Edit, check, edited, plant

SOURCE = '''
import math

LIMIT = 10

class Shelf:
    SIZE = LIMIT * 2

    def room(self, used: int) -> int:
        """Return how much more fits."""
        left = self.SIZE - used  # never negative
        if left < 0:
            left = 0
        return left

def half(number: int) -> int:
    return number // 2
'''


def planted(*edits: Edit) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(edited(SOURCE, edits), "shelf.py", "exec"), names)  # noqa: S102 -- the source is the one above
    return names


def edit(where: str, old: str, new: str) -> Edit:
    return Edit(f"shelf:{where}", old, new)


def room(names: dict[str, object], used: int) -> int:
    shelf: Callable[[], object] = names["Shelf"]  # type: ignore[assignment]
    found: int = shelf().room(used)  # type: ignore[attr-defined]
    return found


def test_an_expression_a_run_of_statements_a_body_and_a_constant_can_be_replaced() -> None:
    assert room(planted(edit("Shelf.room", "self.SIZE-used", "self.SIZE + used")), 1) == 21
    assert room(planted(edit("Shelf.room", "if left < 0:\n  left = 0", "pass")), 25) == -5
    assert room(planted(edit("Shelf.room", "", "return math.floor(1.5)")), 25) == 1
    assert room(planted(edit("LIMIT", "", "4")), 1) == 7
    assert room(planted(edit("Shelf.SIZE", "LIMIT", "7")), 1) == 13


def test_comments_formatting_and_what_stands_elsewhere_do_not_matter() -> None:
    other = SOURCE.replace("  # never negative", "").replace("self.SIZE - used", "(\n            self.SIZE\n - used)")
    slip = edit("Shelf.room", "self.SIZE - used", "0")

    names: dict[str, object] = {}
    exec(compile(edited(other.replace("half", "halved"), [slip]), "shelf.py", "exec"), names)  # noqa: S102 -- as above
    assert room(names, 1) == 0


@pytest.mark.parametrize(
    ("slip", "why"),
    [
        (edit("Shelf.space", "", "return 1"), "wanted space once in shelf, found it 0 times"),
        (edit("Rack.room", "", "return 1"), "wanted Rack once in shelf, found it 0 times"),
        (edit("Shelf.room", "used - self.SIZE", "0"), "once in shelf:Shelf.room, found it 0 times"),
        (edit("Shelf.room", "left", "used"), "once in shelf:Shelf.room, found it 2 times"),
        (edit("Shelf.room", "0", "spare"), "wanted names that are known in shelf:Shelf.room, got spare"),
        (edit("half", "number // 2", "pass"), "wanted an expression"),
        (edit("half", "", "return number // 2"), "got the same code"),
        (edit("Shelf", "", "pass"), "wanted a function or a constant, got ClassDef"),
    ],
)
def test_what_a_slip_does_not_find_is_said(slip: Edit, why: str) -> None:
    with pytest.raises(CannotBePlantedError, match=why):
        edited(SOURCE, [slip])


def test_a_module_that_is_gone_is_said() -> None:
    for name in ("tests.simulation.gone", "nowhere.at.all"):
        with pytest.raises(CannotBePlantedError, match=f"wanted a module {name}, found none"):
            check([Edit(f"{name}:x", "", "1")])


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ModuleType]:
    (tmp_path / "shelf_of_a_test.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.delitem(sys.modules, "shelf_of_a_test", raising=False)
    return lambda: importlib.import_module("shelf_of_a_test")


def test_a_slip_is_planted_while_its_module_is_imported(shelf: Callable[[], ModuleType]) -> None:
    slip = Edit("shelf_of_a_test:half", "number // 2", "number * 2")
    plant([slip])

    assert shelf().half(4) == 8
    with pytest.raises(CannotBePlantedError, match="before the import of shelf_of_a_test"):
        plant([slip])
