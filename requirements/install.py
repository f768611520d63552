"""Make sure that a virtual environment holds one layer of the requirements; `make` calls this before what needs it.

Usage: python3 requirements/install.py VENV LAYER [--contained-by LAYER ...] [--path FOLDER ...]

pip installs uv, and uv the rest, with the same hashes; pip does it alone where uv does not.

Nothing is done when the layer, or one that contains it, is in place: same requirements file, same Python. Only the
standard library is used, and no syntax that an old Python could not read: it must be able to say that it is too old.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
HERE = Path(__file__).resolve().parent
QUIETLY = ("-q", "-q")
ALIKE = ("--no-deps", "--require-hashes", "-r")  # the files are complete, so nothing is looked for beside them
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}


def main() -> int:
    """Install the layer the command line names; return the exit status."""
    if sys.version_info[:2] < OLDEST:
        print(
            "Python %d.%d or newer is needed, and this is %s (%s).\nSay which one to use: make PYTHON=/path/to/python"
            % (*OLDEST, sys.version.split()[0], sys.executable),
            file=sys.stderr,
        )
        return 2
    options = arguments()
    if any(in_place(options.venv, layer) for layer in [options.layer, *options.contained_by]):
        return 0
    return install(options.venv, options.layer, options.path)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("venv", type=Path)
    parser.add_argument("layer", help="name of a file in requirements/, without .txt")
    parser.add_argument("--contained-by", action="append", default=[], help="a layer that holds this one as well")
    parser.add_argument("--path", type=Path, action="append", default=[], help="folder to put on the import path")
    return parser.parse_args()


def in_place(venv: Path, layer: str) -> bool:
    """Tell whether the virtual environment was made by this Python and holds this layer as it is written now."""
    stamp = stamp_of(venv, layer)
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted(layer)


def stamp_of(venv: Path, layer: str) -> Path:
    """Name the file that remembers what was installed."""
    return venv / f".{layer}.installed"


def wanted(layer: str) -> str:
    """Describe the layer: the interpreter's version and place, and the requirements' hash."""
    digest = hashlib.sha256((HERE / f"{layer}.txt").read_bytes()).hexdigest()
    return f"{sys.version_info[:3]} {sys.base_prefix} {digest}\n"


def install(venv: Path, layer: str, folders: list[Path]) -> int:
    """Make the virtual environment where it is missing or another Python's, and install the layer into it."""
    print(f"Installing requirements/{layer}.txt into {venv.name} (first time, or it has changed) ...", file=sys.stderr)
    began = time.monotonic()
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not same_python(python):
        shutil.rmtree(venv, ignore_errors=True)
        status = run(sys.executable, "-m", "venv", str(venv))
        if status:
            print(f"{sys.executable} -m venv failed; on Debian and Ubuntu install python3-venv.", file=sys.stderr)
            return status
    for stamp in venv.glob(".*.installed"):
        stamp.unlink()
    status = by_uv(python, HERE / f"{layer}.txt") and by_pip(python, HERE / f"{layer}.txt")
    if status:
        print(
            f"Installing failed; is the package index within reach? Then try again, or remove {venv}.", file=sys.stderr
        )
        return status
    add_to_path(python, folders)
    stamp_of(venv, layer).write_text(wanted(layer), encoding="utf-8")
    print(f"... done in {time.monotonic() - began:.0f} s.", file=sys.stderr)
    return 0


def by_uv(python: Path, requirements: Path) -> int:
    """Install with uv, which pip gets first and which takes a tenth of pip's time; return the exit status."""
    # --only-binary: where there is no wheel of uv, to build one would take longer than pip does without it.
    status = by_pip(python, HERE / "compile.txt", "--only-binary", ":all:")
    if status == 0:
        uv = python.with_name(f"uv{python.suffix}")
        settings = {**uv_settings(pip_settings(python)), **os.environ}
        status = run(
            str(uv), "pip", "install", *QUIETLY, "--python", str(python), *ALIKE, str(requirements), env=settings
        )
    if status:
        print("uv did not do it, so pip does, which takes longer ...", file=sys.stderr)
    return status


def by_pip(python: Path, requirements: Path, *options: str) -> int:
    """Install with pip; return the exit status."""
    # --no-compile: what is imported gets compiled on import, most never is.
    pip = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-compile")
    return run(str(python), *pip, *QUIETLY, *options, *ALIKE, str(requirements))


def pip_settings(python: Path) -> dict[str, str]:
    """Ask pip for what its files and variables say about installing, by the long names of its options."""
    command = (str(python), "-m", "pip", "--disable-pip-version-check", "config", "list")
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def uv_settings(pip: dict[str, str]) -> dict[str, str]:
    """Say to uv, which reads nothing of pip's, where pip was told to look: its variables and their values.

    pip takes the best that any index has, uv by default what the first one has; hashes make both safe. pip trusts the
    machine's certificates, uv only when it is told to.
    """
    settings = {UV_VARIABLES[option]: " ".join(pip[option].split()) for option in UV_VARIABLES if pip.get(option)}
    if "UV_FIND_LINKS" in settings:
        settings["UV_FIND_LINKS"] = settings["UV_FIND_LINKS"].replace(" ", ",")
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "1", **settings}


def same_python(python: Path) -> bool:
    """Tell whether the environment's interpreter works and is the one that runs this."""
    ask = "import sys; print(sys.version_info[:3], sys.base_prefix)"
    try:
        answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer == f"{sys.version_info[:3]} {sys.base_prefix}"


def run(*command: str, env: dict[str, str] | None = None) -> int:
    """Run a command; return its exit status, and 127 where it cannot be run at all."""
    try:
        return subprocess.run(command, env=env, check=False).returncode
    except OSError as error:
        print(error, file=sys.stderr)
        return 127


def add_to_path(python: Path, folders: list[Path]) -> None:
    """Put folders on the environment's import path, so that no PYTHONPATH is needed to use the checkout."""
    if folders:
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
        lines = "".join(f"{folder.resolve()}\n" for folder in folders)
        (Path(answer) / "tablestream-checkout.pth").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
