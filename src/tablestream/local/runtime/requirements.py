"""Packages that a function's requirements.txt names: installed by pip into a cache, from which the function imports.

A function and each of its layers may have one. A folder is made once for each list, Python and system; it is made
beside its place and then moved there, so that half of an installation is never found.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tablestream.local.errors import UsageError
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.runtime.language import is_node

REQUIREMENTS = "requirements.txt"
_LEFT_BY_BUILDS = re.compile(r"(^|/)(build|__pycache__|[^/]+\.egg-info)/")
_PATH = re.compile(r"\s*(?:(?:-e|--editable|-r|--requirement|-c|--constraint)[ =]\s*)?(\.{1,2}/[^\s;#]*)")


def cache_folder() -> Path:
    """The folder in which installations are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tablestream" / "packages"


def with_requirements(function: FunctionSpec, say: Callable[[str], None], cache: Path | None = None) -> FunctionSpec:
    """Return a function that imports what its requirements name; they are installed where they are not yet.

    `say` gets a line before something is installed. Raises UsageError where pip fails.
    """
    if is_node(function.runtime):
        return function
    folders = [_installed(function, file, say, cache or cache_folder()) for file in requirements_of(function)]
    return replace(function, layers=(*function.layers, *folders))


def requirements_of(function: FunctionSpec) -> Iterator[Path]:
    """Yield the requirements files of a function and of its layers."""
    for folder in (function.code, *function.layers):
        # A layer's packages lie in python/, and its requirements beside it.
        places = (folder, folder.parent) if folder.name == "python" else (folder,)
        yield from [file for place in places if (file := place / REQUIREMENTS).is_file() and file.read_text().strip()]


def _installed(function: FunctionSpec, file: Path, say: Callable[[str], None], cache: Path) -> Path:
    version = f"{platform.machine()} {sys.platform} {sys.version_info.major}.{sys.version_info.minor}"
    beside = folder_of(file)
    listed = f"{version}\n{file.read_text()}\n{_state_of(beside, _paths_in(file))}"
    target = cache / hashlib.sha256(listed.encode()).hexdigest()[:32]
    if target.is_dir():
        return target
    say(f"{function.logical_id}: installing {file}")
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / "packages"
        _run_pip(function, file, beside, made)
        made.mkdir(exist_ok=True)  # pip makes none for a list of comments
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # else somebody else was faster
                raise
    return target


def folder_of(file: Path) -> Path:
    """Return the folder from which the paths in a requirements file lead: its own, or the nearest above that has them.

    pip takes paths from where it is started, and a project's own build starts it where it likes.
    """
    paths = _paths_in(file)
    above = [folder for folder in file.absolute().parents if all((folder / path).exists() for path in paths)]
    return above[0] if above else file.absolute().parent


def _paths_in(file: Path) -> list[str]:
    """Return the relative paths that a requirements file names: of packages, wheels and other such files."""
    return [found[1] for line in file.read_text().splitlines() if (found := _PATH.match(line))]


def _state_of(beside: Path, paths: list[str]) -> str:
    """Return text that is another one after a change of what the paths lead to; what a build leaves there is none."""
    found = [one for path in paths for one in (beside / path, *sorted((beside / path).rglob("*")))]
    files = [one for one in found if one.is_file() and not _LEFT_BY_BUILDS.search(f"{one.relative_to(beside.anchor)}/")]
    return "\n".join(f"{one} {one.stat().st_mtime_ns}" for one in files)


def _run_pip(function: FunctionSpec, file: Path, beside: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(target), "--requirement", str(file.absolute())],
        cwd=beside,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "pip failed")
        raise UsageError(f"{function.logical_id}: {file} cannot be installed: {words.removeprefix('ERROR: ')}")
