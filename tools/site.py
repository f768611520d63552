"""Hooks of `make docs`: README.md is the first page, code has its file for a title, doctests of docstrings are code.

mkdocs calls the functions by their names, and mkdocstrings the class (mkdocs.yml, hooks and extensions).
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

try:
    from griffe import Extension
except ModuleNotFoundError:  # `make docs` has it; the functions below are tested without
    Extension = object

if TYPE_CHECKING:
    from griffe import Object
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_FROM_A_FILE = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)
_INTO_DOCS = re.compile(r"\]\(docs/([^)\s]+)\)")
_OUT_OF_DOCS = re.compile(r"\[([^\]]+)\]\((?:\.\./)*(?!https?:|#|docs/|[\w./-]+\.(?:md|svg|png)\b)([^)\s]+)\)")
_TO_ROOT = re.compile(r"\[([^\]]+)\]\((?:\.\./)?(CONTRIBUTING|SECURITY|LICENSE)[^)\s]*\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand at the root of the repository."""
    from mkdocs.structure.files import File

    readme = _INTO_DOCS.sub(r"](\1)", (ROOT / "README.md").read_text(encoding="utf-8"))
    for name, text in (("index.md", readme), ("changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_more: Any) -> str:
    """Give a block of code its file for a title, and files of the repository that are no pages no link."""
    if page.file.src_uri.startswith("reference/"):
        return markdown
    markdown = markdown.replace("](../README.md", "](index.md")
    titled = _FROM_A_FILE.sub(r'```\1 title="\2"', markdown)
    return _OUT_OF_DOCS.sub(r"`\2`", _TO_ROOT.sub(r"`\2.md`", titled))


_DOCTEST = re.compile(r"(?:^[ ]*>>>.*\n(?:^[ ]*\S.*\n?)*)+", re.MULTILINE)


class Doctests(Extension):
    """Puts the doctests of a docstring into blocks of code."""

    def on_object(self, *, obj: Object, **_more: Any) -> None:
        """Change the docstring of a module, a class or a function."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Return a docstring with a fence around each of its doctests."""
    return _DOCTEST.sub(lambda found: f"```pycon\n{dedent(found[0]).rstrip()}\n```\n", f"{text}\n").rstrip()
