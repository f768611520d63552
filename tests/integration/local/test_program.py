"""The commands that `up` shows for another terminal can be typed there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tablestream.local.cli.commands import BUILT, USAGE_ERROR, found_template, main
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


@pytest.mark.parametrize("option", ["--import", "--resolve", "--parameter"])
def test_what_is_given_has_a_name_and_a_value(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([option, "tray"])
    assert "wanted NAME=VALUE, got 'tray'" in capsys.readouterr().err


def written(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    os.utime(path, (seconds, seconds))
    return path


def test_what_sam_build_has_made_is_taken_where_it_is_newer_than_every_source(tmp_path: Path) -> None:
    own, code = written(tmp_path / "template.yml", 100), written(tmp_path / "src" / "app.py", 200)
    assert found_template(tmp_path) == own
    built = written(tmp_path / BUILT, 200)
    assert found_template(tmp_path) == built
    written(code, 201)
    assert found_template(tmp_path) == own
    written(built, 300)
    written(tmp_path / ".git" / "index", 400)
    written(tmp_path / "node_modules" / "a.js", 400)
    assert found_template(tmp_path) == built


def test_without_any_template_the_usual_one_is_named(tmp_path: Path) -> None:
    assert found_template(tmp_path) == tmp_path / "template.yaml"
