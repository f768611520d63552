from __future__ import annotations

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
