"""The command `tablestream` leads to the tools, and says what to install where something is missing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from tablestream import __main__ as command
from tablestream import __version__


def test_it_tells_its_version_and_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tablestream {__version__}\n"
    assert command.main([]) == command.main(["--help"]) == 0
    assert "local" in capsys.readouterr().out


def test_an_unknown_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["fly"]) == 2
    assert "wanted one of local, redrive, why, replay, got fly" in capsys.readouterr().err


def test_what_is_not_installed_is_named_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named 'moto' ({name})", name="moto.server")

    monkeypatch.setattr("importlib.import_module", missing)
    assert command.main(["local", "up"]) == 2
    assert "needs moto.server, which is not installed: pip install 'tablestream[local]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "module", "handed_on"),
    [
        (["local", "up", "-v"], "tablestream.local.cli.commands", ["up", "-v"]),
        (["redrive", "list"], "tablestream.ops.__main__", ["redrive", "list"]),
        (["replay", "orders"], "tablestream.ops.__main__", ["replay", "orders"]),
    ],
)
def test_a_command_gets_its_arguments_and_gives_its_status(
    monkeypatch: pytest.MonkeyPatch, given: list[str], module: str, handed_on: list[str]
) -> None:
    seen: list[list[str]] = []

    def main(arguments: list[str]) -> int:
        seen.append(arguments)
        return 3

    fake: Any = ModuleType(module)
    fake.main = main
    monkeypatch.setitem(sys.modules, module, fake)
    assert command.main(given) == 3
    assert seen == [handed_on]
