"""The list that `make` prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TOLD = re.findall(r"^([a-z0-9-]+):.*## (.*)$", MAKEFILE, re.MULTILINE)


def test_every_line_fits_80_columns() -> None:
    assert len(TOLD) > 20
    assert [name for name, what in TOLD if len(f"  make {name:14} {what}") > 80] == []


def test_every_target_that_is_no_file_is_listed() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(phony.split()) == sorted(name for name, _ in TOLD)


def test_with_arguments_make_test_runs_what_they_name_and_nothing_else() -> None:
    def command(*variables: str) -> list[str]:
        words = ["make", "--no-print-directory", "-n", "test", *variables]
        # Not what the `make test` that runs this was given.
        plain = {
            name: value for name, value in os.environ.items() if name not in {"ARGS", "MAKEFLAGS", "MAKEOVERRIDES"}
        }
        told = subprocess.run(words, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
        return shlex.split(told.stdout.splitlines()[-1])

    assert command("ARGS=tests/unit -x")[-2:] == ["tests/unit", "-x"]
    assert not {"--cov", "-n"} & set(command("ARGS=tests/unit -x"))
    assert command()[-4:] == ["-n", "2", "--dist", "worksteal"]
