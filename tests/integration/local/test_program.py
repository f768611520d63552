"""The commands that `up` shows for another terminal can be typed there."""

from __future__ import annotations

import subprocess

import pytest

from tablestream.local.cli.commands import USAGE_ERROR, main
from tablestream.local.cli.session import command, program, start
from tablestream.local.cloud.unsupported import GAPS
from tests.support.cloudformation import ROOT


@pytest.mark.parametrize(("module", "name"), [("tablestream.local", "invoke"), ("demo", "order")])
def test_they_begin_with_a_program_that_is_there(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    done = subprocess.run([*program(module).split(), "--help"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for shown in (command(name, module=module), command("status", module=module), start(module)):
        assert shown.startswith(program(module))
        assert shown.removeprefix(program(module)).split()[0] in done.stdout


def test_without_a_command_the_stack_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--template", "nowhere.yaml"]) == USAGE_ERROR
    assert capsys.readouterr().err == "up: cannot read the template nowhere.yaml: No such file or directory\n"


def test_what_is_not_done_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--coverage"]) == 0
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    words = " ".join(printed.split())
    assert [gap for gap in GAPS if f"{gap.name}: {gap.reason}" not in words] == []


@pytest.mark.parametrize(
    ("option", "form"),
    [
        ("--import", "NAME=VALUE"),
        ("--parameter", "NAME=VALUE"),
        ("--resolve", "REFERENCE=VALUE"),
        ("--table", "NAME=KEY"),
        ("--code", "FUNCTION=FOLDER"),
    ],
)
@pytest.mark.parametrize("given", ["tray", "=oak"])
@pytest.mark.parametrize("before", [[], ["invoke", "event.json"]])
def test_what_is_given_has_the_form_that_help_shows(
    before: list[str], option: str, form: str, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*before, option, given])
    assert f"argument {option}: wanted {form}, got '{given}'" in capsys.readouterr().err
