"""What the contenders run with: the Lambda runtime's Python where there is one, the built package, the peers, Node."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.children import ROOT

FOLDER = ROOT / ".bench"
NODE_FOLDER = ROOT / "benchmarks" / "contenders" / "node"
LAMBDA_PYTHON = (3, 13)


@dataclass(frozen=True)
class Toolchain:
    """Interpreters and folders. Everything is made in `.bench`, and made again only when what it is made of changes."""

    python: str

    @classmethod
    def find(cls) -> Toolchain:
        """Take the Python of the Lambda runtime if there is one, else the one that runs this."""
        found = [path for path in map(_executable, _candidates()) if path]
        return cls(found[0] if found else sys.executable)

    @cached_property
    def package(self) -> Path:
        """The worker's package as `sam build` makes it, of the sources as they are now."""
        return self._built("Worker", "package")

    @cached_property
    def api_package(self) -> Path:
        """The HTTP function's package, likewise."""
        return self._built("Api", "api-package")

    def _built(self, function: str, name: str) -> Path:
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        build = ["make", "-s", "-C", str(ROOT / "src"), f"build-{function}", f"ARTIFACTS_DIR={folder}"]
        _run([*build, f"PYTHON={sys.executable}", f"PYTHON313={self.python}"])
        return folder

    @cached_property
    def peers(self) -> Path:
        """The libraries of the worker, complete, as somebody who follows a tutorial has them; with byte code."""
        return self._installed(ROOT / "src" / "requirements.txt", "peers")

    @cached_property
    def api_peers(self) -> Path:
        """The libraries of the HTTP function and of its peers, likewise."""
        return self._installed(ROOT / "requirements" / "peers.txt", "api-peers")

    def _installed(self, requirements: Path, name: str) -> Path:
        folder = FOLDER / f"{name}-{_digest(requirements)}"
        if not folder.is_dir():
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps"]
            wheels = ["--no-compile", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"]
            runtime = ["--python-version", ".".join(map(str, LAMBDA_PYTHON))]
            platforms = [f"--platform={name}" for name in ("any", f"manylinux2014_{platform.machine()}")]
            _run([*pip, *wheels, *runtime, *platforms, "--target", str(folder), "-r", str(requirements)])
            _run([self.python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder)])
        return folder

    @cached_property
    def node(self) -> Path | None:
        """The Node contender's folder with its libraries, None where there is no Node."""
        if shutil.which("node") is None or shutil.which("npm") is None:
            return None
        folder = FOLDER / f"node-{_digest(NODE_FOLDER / 'package-lock.json')}"
        if not (folder / "node_modules").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(NODE_FOLDER / name, folder)
            _run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)])
        for script in NODE_FOLDER.glob("*.mjs"):
            shutil.copy(script, folder)
        return folder

    def path(self, *folders: Path) -> dict[str, str]:
        """Return the environment in which Python imports from these folders and from the checkout."""
        return {"PYTHONPATH": os.pathsep.join(map(str, (*folders, ROOT)))}

    @cached_property
    def versions(self) -> dict[str, str]:
        """What is compared, and with what."""
        names = "boto3", "aws-lambda-powertools"
        script = f"import importlib.metadata as m, platform; print(platform.python_version(), *map(m.version, {names}))"
        python, *libraries = _output([self.python, "-c", script], self.path(self.peers)).split()
        versions = {"Python": python, **dict(zip(names, libraries, strict=True))}
        if self.node is not None:
            versions["Node"] = _output(["node", "--version"]).strip().removeprefix("v")
        return versions


def _candidates() -> Iterator[str]:
    version = ".".join(map(str, LAMBDA_PYTHON))
    yield from filter(None, [os.environ.get("PYTHON313"), f"python{version}", sys.executable])
    yield from map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3")))


def _executable(candidate: str) -> str | None:
    """Return the interpreter itself behind a name, when it is of the runtime's version; launchers would be measured."""
    script = f"import sys; sys.exit(sys.version_info[:2] != {LAMBDA_PYTHON}) or None"
    try:
        if subprocess.run([candidate, "-c", script], check=False, capture_output=True).returncode:
            return None
        return _output([candidate, "-c", "import sys; print(sys.executable)"]).strip()
    except OSError:
        return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    merged = {**os.environ, **(environment or {})}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=merged).stdout
