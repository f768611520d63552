"""The site of `make docs`: its navigation has every page once, and what its hooks make of them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools import site

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
GENERATED = {"index.md", "changelog.md"}
"""Pages that are made of files at the root of the repository."""


def test_each_page_is_in_the_navigation_once() -> None:
    shown = re.findall(r"^ +- ([\w/-]+\.md)$", CONFIG, re.MULTILINE)
    docs = ROOT / "docs"
    there = {path.relative_to(docs).as_posix() for path in [*docs.glob("*.md"), *docs.glob("reference/*.md")]}
    assert sorted(shown) == sorted(there | GENERATED)


def page(name: str) -> Any:
    return SimpleNamespace(file=SimpleNamespace(src_uri=name))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("```python examples/a.py\nx\n```", '```python title="examples/a.py"\nx\n```'),
        ("```python\nx\n```", "```python\nx\n```"),
        (
            "[a](local.md) [b](local.md#c) [d](https://e) [f](#g)",
            "[a](local.md) [b](local.md#c) [d](https://e) [f](#g)",
        ),
        ("![p](pictures/page.png)", "![p](pictures/page.png)"),
        ("[x](../examples/y/template.yaml)", "`examples/y/template.yaml`"),
        ("[examples](examples/counter)", "`examples/counter`"),
        ("[how](CONTRIBUTING.md)", "`CONTRIBUTING.md`"),
    ],
)
def test_what_is_no_page_has_no_link_and_code_its_file(written: str, shown: str) -> None:
    assert site.on_page_markdown(written, page("start.md")) == shown


def test_a_doctest_is_a_block_of_code() -> None:
    written = "Return it.\n\n    >>> [1,\n    ...  2]\n    [1, 2]\n\nAnd more."
    assert site.fenced(written) == "Return it.\n\n```pycon\n>>> [1,\n...  2]\n[1, 2]\n```\n\nAnd more."
