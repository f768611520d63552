"""The commands that `up` shows for another terminal can be typed there."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tablestream.local.cli.session import command, program, start
from tests.cloudformation import ROOT

if TYPE_CHECKING:
    import pytest


def test_they_begin_with_a_program_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    done = subprocess.run([*program().split(), "--help"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for shown in (command("order", "--poison"), command("status"), start()):
        assert shown.startswith(program())
        assert shown.removeprefix(program()).split()[0] in done.stdout
