"""What the documentation shows exists: its code stands in files that are checked and run, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
# tests/aws is of the repository whose recordings the delivery rules quote.
INLINE = re.compile(r"`(?!tests/aws/)(?P<path>(?:src|tests|docs|events|examples|benchmarks|requirements)/[^`\s*:]+)")
MODULE = re.compile(r"`(?:[\w/]+/)?(?P<name>\w+\.py)`")
FOLDERS = ("src", "tests", "examples", "benchmarks", "requirements")
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)
MAKE = re.compile(r"(?:^ {4}|^|`)make ([a-z][a-z0-9-]*)", re.MULTILINE)


class Block(NamedTuple):
    """A block of code in a page."""

    page: Path
    language: str
    source: str
    """The file that the block says it is from, if it does."""
    text: str


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        for fence in FENCE.finditer(page.read_text()):
            language, _, source = fence["info"].partition(" ")
            found.append(Block(page, language, source, fence["text"]))
    return found


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("block", [block for block in blocks() if block.language == "python"], ids=lambda b: b.source)
def test_a_block_of_python_stands_in_the_file_that_it_names(block: Block) -> None:
    """Those files are formatted, linted, typed and run like all others, so what a reader types is what was checked."""
    assert block.source, f"{named(block.page)}: wanted ```python FILE, got a block of no file:\n{block.text}"
    source = ROOT / block.source
    assert source.is_file(), f"{named(block.page)} names {block.source}"
    assert f"\n{block.text}" in f"\n{source.read_text()}", (
        f"{named(block.page)} and {block.source} differ:\n{block.text}"
    )


def test_every_example_is_run_by_a_test() -> None:
    tests = "\n".join(test.read_text() for test in ROOT.glob("tests/examples/*.py"))
    programs = ROOT.glob("examples/**/*.py")
    examples = [one for one in programs if one.name != "__init__.py" and not one.name.startswith("test_")]
    modules = [".".join(one.relative_to(ROOT).with_suffix("").parts) for one in examples]
    assert modules
    assert [module for module in modules if module not in tests] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.finditer(prose(page)):
        target, _, anchor = link["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), link[0]
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), link[0]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_path_that_is_named_exists(page: Path) -> None:
    for path in INLINE.finditer(prose(page)):
        assert (ROOT / path["path"]).exists(), path[0]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_module_that_is_named_exists(page: Path) -> None:
    modules = {module.name for folder in FOLDERS for module in (ROOT / folder).rglob("*.py")}
    assert {found["name"] for found in MODULE.finditer(prose(page))} <= modules


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_make_command_is_one(page: Path) -> None:
    known = set(TARGET.findall((ROOT / "Makefile").read_text()))
    assert set(MAKE.findall(page.read_text())) <= known
