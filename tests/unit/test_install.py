from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from requirements import install


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "HERE", tmp_path)
    (tmp_path / "dev.txt").write_text("pytest==1\n", encoding="utf-8")
    made = tmp_path / ".venv"
    made.mkdir()
    return made


def installed(venv: Path) -> None:
    install.stamp_of(venv, "dev").write_text(install.wanted("dev"), encoding="utf-8")


def test_a_layer_that_was_never_installed_is_not_in_place(venv: Path) -> None:
    assert not install.in_place(venv, "dev")


def test_an_installed_layer_is_in_place_and_not_installed_again(venv: Path) -> None:
    installed(venv)
    assert install.in_place(venv, "dev")


def test_a_layer_whose_requirements_have_changed_is_installed_again(venv: Path) -> None:
    installed(venv)
    (venv.parent / "dev.txt").write_text("pytest==2\n", encoding="utf-8")
    assert not install.in_place(venv, "dev")


def test_another_python_makes_the_environment_anew(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(venv)
    monkeypatch.setattr("sys.base_prefix", "/another/python")
    assert not install.in_place(venv, "dev")


def test_an_environment_without_a_working_interpreter_is_not_this_python(venv: Path) -> None:
    assert not install.same_python(venv / "bin" / "python")


@dataclass
class Machine:
    """Stands for the programs that are run: `statuses` by the first word that a command has of them."""

    statuses: dict[str, int] = field(default_factory=dict)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    environments: list[dict[str, str] | None] = field(default_factory=list)

    def run(self, *command: str, env: dict[str, str] | None = None) -> int:
        self.commands.append(command)
        self.environments.append(env)
        return next((status for word, status in self.statuses.items() if word in " ".join(command)), 0)

    @property
    def installed(self) -> list[tuple[str, str]]:
        """By which program, and from which file."""
        return [("uv" if "uv" in Path(one[0]).name else "pip", Path(one[-1]).name) for one in self.commands]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(install, "run", made.run)
    monkeypatch.setattr(install, "same_python", lambda _python: True)
    monkeypatch.setattr(install, "pip_settings", lambda _python: {"index-url": "https://mirror.test/simple"})
    return made


def test_pip_gets_uv_and_uv_the_rest(venv: Path, machine: Machine) -> None:
    assert install.install(venv, "dev", []) == 0
    assert machine.installed == [("pip", "compile.txt"), ("uv", "dev.txt")]
    assert all("--require-hashes" in command for command in machine.commands)
    assert install.in_place(venv, "dev")


@pytest.mark.parametrize(
    ("failing", "tried"),
    [
        ("compile.txt", [("pip", "compile.txt"), ("pip", "dev.txt")]),
        ("uv pip install", [("pip", "compile.txt"), ("uv", "dev.txt"), ("pip", "dev.txt")]),
    ],
    ids=["no wheel of uv for this machine", "uv fails"],
)
def test_where_uv_does_not_do_it_pip_does(
    venv: Path, machine: Machine, failing: str, tried: list[tuple[str, str]]
) -> None:
    machine.statuses[failing] = 1
    assert install.install(venv, "dev", []) == 0
    assert machine.installed == tried
    assert install.in_place(venv, "dev")


def test_what_nobody_can_install_is_not_in_place(venv: Path, machine: Machine) -> None:
    machine.statuses["install"] = 1
    assert install.install(venv, "dev", []) == 1
    assert not install.in_place(venv, "dev")


def test_a_program_that_is_not_there_is_a_failure_and_no_traceback(tmp_path: Path) -> None:
    assert install.run(str(tmp_path / "uv")) == 127


def test_uv_looks_where_pip_was_told_to_look_and_a_setting_of_its_own_wins(
    venv: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    install.install(venv, "dev", [])
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.test/simple")
    install.install(venv, "dev", [])
    found = [environment and environment["UV_DEFAULT_INDEX"] for environment in machine.environments]
    assert found == [None, "https://mirror.test/simple", None, "https://own.test/simple"]


def test_the_settings_of_pip_are_those_of_its_files_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://a.test/simple\nfind-links =\n    /one\n    /two\ntimeout = 7\n"
        "[install]\ntimeout = 8\n[download]\nproxy = http://no.test\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://b.test/simple")
    found = install.pip_settings(Path(sys.executable))
    wanted = {"index-url": "https://b.test/simple", "find-links": "\n/one\n/two", "timeout": "8"}
    assert {name: found.get(name) for name in [*wanted, "proxy"]} == {**wanted, "proxy": None}
    variables = install.uv_settings(found)
    assert variables["UV_DEFAULT_INDEX"] == "https://b.test/simple"
    assert variables["UV_FIND_LINKS"] == "/one,/two"
    assert variables["UV_HTTP_TIMEOUT"] == "8"
