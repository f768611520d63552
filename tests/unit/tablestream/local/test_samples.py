"""The sample events on disk are what their generator makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.samples import as_text, samples, write

EVENTS = Path(__file__).parents[4] / "events"


def test_there_is_a_file_for_each_sample_and_nothing_else() -> None:
    assert sorted(path.name for path in EVENTS.iterdir() if path.is_file()) == sorted(
        f"{name}.json" for name in samples()
    )


@pytest.mark.parametrize("name", samples())
def test_a_file_is_what_the_generator_makes(name: str) -> None:
    text = (EVENTS / f"{name}.json").read_text(encoding="utf-8")
    assert text == as_text(samples()[name]), "run `make events`"
    assert json.loads(text) == samples()[name]


def test_writing_replaces_what_is_there_and_leaves_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    for name in ("stale.json", "insert-order.json", "notes.txt"):
        (folder / name).write_text("old", encoding="utf-8")
    write(folder)
    assert not (folder / "stale.json").exists()
    assert (folder / "notes.txt").exists()
    assert (folder / "insert-order.json").read_text(encoding="utf-8") == as_text(samples()["insert-order"])
