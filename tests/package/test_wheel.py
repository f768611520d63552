"""The wheel: what it holds, what it needs, and that it works where only it is installed."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.wheel import build_wheel

pytestmark = pytest.mark.slow

PROGRAM = '''
"""Leads: tell sales of each new lead."""
from tablestream import Change, Worker
from tablestream.sinks import Message, Topic

worker = Worker(table="leads", sinks=[Topic("sales")])


@worker.on_insert()
def created(change: Change) -> Message:
    return Message({"lead": change.new["id"]})
'''
TEST = """
from leads import worker
from tablestream.sinks import Message
from tablestream.testing import inserted

told = worker.tested().send(inserted({"id": "1"}, keys=("id",), table="leads"))
assert told.effects == [Message({"lead": "1"})], told
print("told")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dist")
    wheel = build_wheel(made)
    assert len(list(made.glob("*.tar.gz"))) == 1
    return wheel


def test_it_holds_the_library_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = opened.read(next(name for name in names if name.endswith("METADATA"))).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tablestream"}
    assert "tablestream/py.typed" in names
    assert {"tablestream/local/__main__.py", "tablestream/sinks/sns.py", "tablestream/testing/records.py"} <= {*names}
    assert {f"tablestream/local/cli/page/{name}" for name in ("index.html", "page.css", "page.js")} <= {*names}
    for extra in ("powertools", "local", "ops"):
        assert f"Provides-Extra: {extra}\n" in metadata
    needs = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert [line.split()[1].partition(">")[0] for line in needs] == ["boto3"]


def test_it_works_in_an_empty_folder_where_only_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    packages = next((home / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    # boto3 and what it needs, as they are here: the package index is not asked.
    here = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for name in ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "urllib3", "six.py"):
        (packages / name).symlink_to(here / name)
    (tmp_path / "leads.py").write_text(PROGRAM)
    (tmp_path / "check.py").write_text(TEST)
    python = str(home / "bin" / "python")
    told = subprocess.run([python, "check.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.stdout == "told\n", told.stderr
    version = subprocess.run([python, "-m", "tablestream", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("tablestream ")
    local = subprocess.run([python, "-m", "tablestream", "local", "up"], capture_output=True, text=True, check=False)
    assert local.returncode == 2
    assert "pip install 'tablestream[local]'" in local.stderr
