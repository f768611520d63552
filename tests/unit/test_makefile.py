"""The list that `make` prints."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
TOLD = re.findall(r"^([a-z0-9-]+):.*## (.*)$", MAKEFILE, re.MULTILINE)


def test_every_line_fits_80_columns() -> None:
    assert len(TOLD) > 20
    assert [name for name, what in TOLD if len(f"  make {name:14} {what}") > 80] == []


def test_every_target_that_is_no_file_is_listed() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(phony.split()) == sorted(name for name, _ in TOLD)
