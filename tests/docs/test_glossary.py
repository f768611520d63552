"""Each word of the glossary is a public name, or stands where a reader meets it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tablestream
from tablestream import dynamodb, simulation

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([a-z][a-z -]*) \| (.*) \|$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
)
WORDS = [word for word, _ in ROWS if word != "word"]
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/tablestream").rglob("*.py"))


@pytest.mark.parametrize(("word", "meaning"), [row for row in ROWS if row[0] != "word"])
def test_a_word_is_used_and_its_name_is_public(word: str, meaning: str) -> None:
    assert re.search(rf"\b{re.escape(word)}s?\b", CODE, re.IGNORECASE), f"{word} is not a word of the code"
    for name in re.findall(r"`([A-Z]\w+)`", meaning):
        assert name in {*tablestream.__all__, *dynamodb.__all__, *simulation.__all__}, f"{name} is not a public name"


def test_the_words_are_in_order_and_each_stands_there_once() -> None:
    assert sorted(set(WORDS)) == WORDS
    assert len(WORDS) > 20
