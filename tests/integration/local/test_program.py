"""The commands that `up` shows for another terminal can be typed there."""

from __future__ import annotations

import subprocess

import pytest

from tablestream.local.cli.commands import USAGE_ERROR, main
from tablestream.local.cli.session import command, program, start
from tablestream.local.template import gaps
from tablestream.local.template.gaps import GAPS, Gap
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


def test_what_is_said_of_a_resource_at_the_start_is_of_that_list() -> None:
    """The modules that take resources out of a template have no words of their own for that."""
    named = {name for name, value in vars(gaps).items() if isinstance(value, Gap) and value.said}
    told = [path.read_text() for path in (ROOT / "src" / "tablestream" / "local").rglob("*.py")]
    assert [name for name in named if not any(f"{name}.of(" in text for text in told)] == []
    assert [gap for name, gap in vars(gaps).items() if isinstance(gap, Gap) and gap not in GAPS] == []


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


@pytest.mark.parametrize("option", ["--port", "--api-port", "--page-port"])
@pytest.mark.parametrize("given", ["99999", "-1", "http"])
def test_a_port_is_one(option: str, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"{option}={given}"])
    assert f"argument {option}: wanted a port from 0 to 65535, got '{given}'" in capsys.readouterr().err
