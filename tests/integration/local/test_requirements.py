"""A function's requirements: installed once into a cache, found by its imports, and told where they cannot be."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tablestream.local.errors import UsageError
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.runtime.requirements import cache_folder, with_requirements
from tablestream.local.runtime.runtime import Runtime

WHEEL = "leaves-1.0-py3-none-any.whl"


@pytest.fixture
def function(tmp_path: Path) -> FunctionSpec:
    """Write a function that wants a package which lies beside it as a wheel."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("import leaves\ndef main(event, context): return leaves.KIND")
    (code / "requirements.txt").write_text(f"./{WHEEL}\n")
    with zipfile.ZipFile(code / WHEEL, "w") as wheel:
        wheel.writestr("leaves.py", "KIND = 'oolong'")
        about = "leaves-1.0.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: leaves\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", f"leaves.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return FunctionSpec("Whistle", "whistle", "arn:whistle", "app.main", code, {}, 20, runtime="python3.13")


def test_what_it_names_is_installed_once_and_found(function: FunctionSpec, tmp_path: Path) -> None:
    said: list[str] = []
    made = with_requirements(function, said.append, tmp_path / "cache")
    again = with_requirements(function, said.append, tmp_path / "cache")
    assert said == [f"Whistle: installing {function.code / 'requirements.txt'}"]
    assert made.layers == again.layers
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == [made.layers[0].name]
    runtime = Runtime(made)
    assert runtime.invoke({}).payload == "oolong"
    runtime.close()
    assert not (function.code / "leaves.py").exists()


def test_those_of_a_layer_are_installed_too(function: FunctionSpec, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "python").mkdir(parents=True)
    for name in ("requirements.txt", WHEEL):
        (function.code / name).rename(layer / name)
    made = with_requirements(replace(function, layers=(layer / "python",)), lambda _line: None, tmp_path / "cache")
    runtime = Runtime(made)
    assert runtime.invoke({}).payload == "oolong"
    runtime.close()


@pytest.mark.parametrize(
    ("place", "path"), [("functions/whistle", "../shared"), ("code", "../shared"), ("a", "./shared")]
)
def test_paths_lead_from_the_nearest_folder_that_has_them(
    function: FunctionSpec, tmp_path: Path, place: str, path: str
) -> None:
    project = tmp_path / "project"
    code = project / place
    code.mkdir(parents=True)
    shared = tmp_path / "shared" if place == "functions/whistle" else project / "shared"
    shared.mkdir()
    for name in ("app.py", WHEEL):
        (function.code / name).rename((code if name == "app.py" else shared) / name)
    (code / "requirements.txt").write_text(f"{path}/{WHEEL}\n")
    made = with_requirements(replace(function, code=code), lambda _line: None, tmp_path / "cache")
    runtime = Runtime(made)
    assert runtime.invoke({}).payload == "oolong"
    runtime.close()


def test_what_a_path_leads_to_is_installed_anew_when_it_has_changed(function: FunctionSpec, tmp_path: Path) -> None:
    before = with_requirements(function, lambda _line: None, tmp_path / "cache")
    (function.code / WHEEL).touch()
    os.utime(function.code / WHEEL, (1, 1))
    after = with_requirements(function, lambda _line: None, tmp_path / "cache")
    assert before.layers != after.layers


def test_what_cannot_be_installed_is_told_and_leaves_nothing(function: FunctionSpec, tmp_path: Path) -> None:
    (function.code / "requirements.txt").write_text("./nothing-1.0-py3-none-any.whl\n")
    with pytest.raises(UsageError, match=r"Whistle: .*requirements.txt cannot be installed: .*nothing-1.0"):
        with_requirements(function, lambda _line: None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("text", ["", "\n", None])
def test_without_requirements_nothing_is_done(function: FunctionSpec, tmp_path: Path, text: str | None) -> None:
    file = function.code / "requirements.txt"
    file.unlink() if text is None else file.write_text(text)
    assert with_requirements(function, lambda _line: None, tmp_path / "cache") == function
    assert not (tmp_path / "cache").exists()


def test_functions_of_node_are_left_as_they_are(function: FunctionSpec, tmp_path: Path) -> None:
    other = replace(function, runtime="nodejs22.x")
    assert with_requirements(other, lambda _line: None, tmp_path / "cache") == other


def test_the_cache_is_where_the_system_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tablestream" / "packages"
