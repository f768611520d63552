"""The commands that `up` shows for another terminal can be typed there."""

from __future__ import annotations

import subprocess

import pytest

from tablestream.local.cli.session import command, program, start
from tests.support.cloudformation import ROOT


@pytest.mark.parametrize(("module", "name"), [("tablestream.local", "invoke"), ("demo", "order")])
def test_they_begin_with_a_program_that_is_there(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    done = subprocess.run([*program(module).split(), "--help"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for shown in (command(name, module=module), command("status", module=module), start(module)):
        assert shown.startswith(program(module))
        assert shown.removeprefix(program(module)).split()[0] in done.stdout
