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
SCHEDULES = """
from leads import worker
from tablestream import Worker
from tablestream.simulation import Services, Stream


class Sales:
    def __init__(self, services: Services) -> None:
        self.services = services

    def start(self) -> Worker:
        return worker

    def at_end(self) -> None:
        assert {sent.value.body["lead"] for sent in self.services.sent} == {*[id for id, in self.services.items]}


def test_sales_hears_of_each_lead(stream: Stream) -> None:
    stream.keyed("id", table="leads")
    stream.insert({"id": "1"})
    stream.insert({"id": "2"})
    stream.play(Sales)
"""
PYTEST = ("pytest", "_pytest", "py.py", "pluggy", "iniconfig", "packaging", "pygments")
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
    assert "Requires-Dist: pytest" not in metadata
    for extra in ("powertools", "local", "ops"):
        assert f"Provides-Extra: {extra}\n" in metadata
    needs = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert [line.split()[1].partition(">")[0] for line in needs] == ["boto3"]


def installed(wheel: Path, folder: Path, *more: str) -> str:
    """Make a virtual environment with the wheel, boto3 and more packages, as they are here: no index is asked."""
    home = folder / "venv"
    venv.create(home, with_pip=False)
    packages = next((home / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    here = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for name in ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "urllib3", "six.py", *more):
        (packages / name).symlink_to(here / name)
    return str(home / "bin" / "python")


def test_it_works_in_an_empty_folder_where_only_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path)
    (tmp_path / "leads.py").write_text(PROGRAM)
    (tmp_path / "check.py").write_text(TEST)
    told = subprocess.run([python, "check.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.stdout == "told\n", told.stderr
    version = subprocess.run([python, "-m", "tablestream", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("tablestream ")
    local = subprocess.run([python, "-m", "tablestream", "local", "up"], capture_output=True, text=True, check=False)
    assert local.returncode == 2
    assert "pip install 'tablestream[local]'" in local.stderr


def test_pytest_finds_the_plugin_where_the_wheel_is_installed(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path, *PYTEST)
    (tmp_path / "leads.py").write_text(PROGRAM)
    (tmp_path / "test_leads.py").write_text(SCHEDULES)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tablestream-seeds=100", "test_leads.py"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in told.stdout, told.stdout + told.stderr
