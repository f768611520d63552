"""The first steps of a newcomer: the project of docs/start.md under `up`, with its mistakes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tablestream.local.cloud.clients import CloudClients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
PATIENCE = 60  # seconds: a machine under load starts slowly
ROOT = Path(__file__).parents[3]
UP = [sys.executable, "-m", "tablestream.local", "up", "--port"]
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}


@dataclass
class Up:
    folder: Path
    process: subprocess.Popen[str]
    state: dict[str, Any]

    @property
    def shown(self) -> str:
        return (self.folder / "shown.txt").read_text()

    def wait_for(self, text: str) -> None:
        wait_for(lambda: text in self.shown)


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    folder = tmp_path / "leads"
    shutil.copytree(ROOT / "examples" / "counter_exactly_once", folder)
    with (folder / "shown.txt").open("w") as shown:
        process = subprocess.Popen([*UP, "0"], cwd=folder, env=ENVIRONMENT, stdout=shown, text=True)
    state = folder / ".local" / "up.json"
    wait_for(lambda: state.exists() or process.poll() is not None)
    assert process.poll() is None
    yield Up(folder, process, json.loads(state.read_text()))
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)


def test_the_suggested_write_says_what_it_lacks_and_ends_as_a_dead_letter_that_tells_why(up: Up) -> None:
    assert "with the attributes that your handlers read besides the key:" in up.shown
    suggested = re.search(r"put (\S+) '(.*)'\n", up.shown)
    assert suggested is not None
    key = json.loads(suggested[2])["id"]
    assert f'"{key}"' not in (ROOT / "docs" / "start.md").read_text()

    command = ["/bin/bash", "-c", f"{sys.executable} -m tablestream.local {suggested[0]}"]
    told = subprocess.run(command, cwd=up.folder, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert told == f"put an item into {suggested[1]}: {suggested[2]}\n"
    up.wait_for(f'dead letter: {{"id": {{"S": "{key}"}}}}, in leads.created: status: wanted a value, got none')
    up.wait_for(".json\n")
    stored = re.search(r"s3://([^/\s]+)/(dead-letters/\S+)\n", up.shown)
    assert stored is not None
    found = CloudClients(up.state["endpoint"]).get("s3").get_object(Bucket=stored[1], Key=stored[2])
    assert json.loads(found["Body"].read())["handler"] == "leads.created"


def test_the_commands_of_the_page_write_a_lead_and_read_the_counts(up: Up) -> None:
    page = (ROOT / "docs" / "start.md").read_text().partition("The last command goes on")[2]
    blocks = [textwrap.dedent(one) for one in page.split("\n\n") if one.startswith("    ")]
    write, read = [block.replace(".venv/bin/python", sys.executable) for block in blocks[:2]]

    def run(command: str) -> str:
        shell = ["/bin/bash", "-c", command]
        return subprocess.run(
            shell, cwd=up.folder, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    run(write)
    wait_for(lambda: "{'pk': 'new', 'leads': Decimal('1')}" in run(read))
    up.wait_for('{"lead":"1","email":"ann@example.com"}')


def test_a_second_up_on_the_same_port_says_in_one_line_what_to_do(up: Up, tmp_path: Path) -> None:
    port = urlsplit(up.state["endpoint"]).port
    template = ["--template", str(up.folder / "template.yaml")]
    second = subprocess.run(
        [*UP, str(port), *template], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"up: port {port} is taken, perhaps by another stack that runs: end that, or take another port with --port N\n"
    )
