"""Some of the small projects as a user runs them: the command in their folder, and what is on the screen.

What is refused never comes as far as the embedded AWS; nothing ever ends in a traceback.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PATIENCE = 60  # seconds: a machine under load starts slowly
HERE = Path(__file__).parent / "cases"
COMMAND = [sys.executable, "-m", "tablestream", "local", "--port", "0", "--api-port", "0"]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "COLUMNS": "200"}
DELIVERED = "WhistleKettles #[0-9]+: 1 INSERT -> ok"
HAS_NODE = shutil.which("node", path=ENVIRONMENT["PATH"]) is not None

SHOWN: dict[str, tuple[str, ...]] = {
    "fails/01-unquoted-date": (DELIVERED,),
    "fails/02-implicit-api": (DELIVERED,),
    "fails/03-ssm-parameter": (r"line 4: BusName is /kitchen/bus in SSM.*--parameter BusName=VALUE", DELIVERED),
    "fails/04-samconfig-default": ("colour red eu-central-1", DELIVERED),
    "fails/09-import-value": (
        r"line 17: tray-name is exported by another stack",
        "line 11: Whistle: .*TRAY",
        DELIVERED,
    ),
    "fails/11-missing-package": (
        r"cannot be imported: ModuleNotFoundError: No module named 'kettledescaler' \(app.py, line 1\).*--install",
        "WhistleKettles #[0-9]+: 1 INSERT -> failed",
    ),
    "fails/12-layer-in-project": ("oolong", DELIVERED),
    "fails/13-output-named-table-name": (r"put [^ ]+ '\{\"kettle\": ", DELIVERED),
    "fails/17-template-yml": (DELIVERED,),
    "fails/25-region-in-handler": ("items 1", DELIVERED),
    "fails/40-event-bus-ref": ("bus kitchen", DELIVERED),
    "holds/02b-http-api": ("http://127.0.0.1:[0-9]+", DELIVERED),
    "holds/28-other-triggers": (r"line [0-9]+: Lid.* invokes no function here", DELIVERED),
}
"""What stands on the screen of a project that runs, once an item was written."""

REFUSED: dict[str, str] = {
    "fails/14-stream-arn-parameter": "template.yaml, line 13: WhistleKettles: Stream not found: .*--template",
    "fails/19-code-uri-zip": 'template.yaml, line 11: Whistle: CodeUri is "build/code.zip".*, or --code Whistle=',
    "fails/19b-no-code-uri": "template.yaml, line 11: Whistle: it has neither CodeUri nor InlineCode nor Code",
    "fails/22-parameters-without-default": "template.yaml, line 4: no value and no default for Aroma, Blend, Cup: ",
    "fails/45-table-without-stream": (
        "template.yaml, line 4: .* the stream of Kettles, which has none: .* has Type twice, in line 5 and line 11"
    ),
    "fails/52-reference-to-nothing": "template.yaml, line 19: Whistle's Environment.Variables.TABLE refers to Kettle, ",
    "fails/53-view-type-misspelt": "template.yaml, line 10: Kettles: StreamSpecification.StreamViewType is 'NEW_IMG'",
    "fails/54-stream-of-another-stack": "template.yaml, line 21: WhistleKettles reads the stream .* --import kettles-",
}
if not HAS_NODE:
    REFUSED["fails/16-runtime-by-reference"] = "template.yaml, line 10: Whistle: Runtime is nodejs22.x, .* no `node`"


@dataclass
class Program:
    """The command, running in the folder of a project."""

    folder: Path
    process: subprocess.Popen[str]

    @property
    def screen(self) -> str:
        return (self.folder / "screen.txt").read_text()

    def wait_for(self, pattern: str) -> None:
        until = time.monotonic() + PATIENCE
        while re.search(pattern, self.screen, re.DOTALL) is None:
            assert self.process.poll() is None, self.screen
            assert time.monotonic() < until, self.screen
            time.sleep(0.05)

    def write(self) -> None:
        """Write an item with the words on the screen, as soon as the state file is there."""
        state = self.folder / ".local" / "up.json"
        until = time.monotonic() + PATIENCE
        while not state.exists():
            assert time.monotonic() < until, self.screen
            time.sleep(0.05)
        suggested = re.search(r"^ +(\S+ -m tablestream\.local put .*)\n", self.screen, re.MULTILINE)
        assert suggested is not None, self.screen
        subprocess.run(["/bin/bash", "-c", suggested[1]], cwd=self.folder, env=ENVIRONMENT, check=True)


@pytest.fixture
def program(case: str, tmp_path: Path) -> Iterator[Program]:
    folder = tmp_path / "project"
    shutil.copytree(HERE / case, folder)
    with (folder / "screen.txt").open("w") as screen:
        process = subprocess.Popen(COMMAND, cwd=folder, env=ENVIRONMENT, stdout=screen, stderr=screen, text=True)
    yield Program(folder, process)
    if process.poll() is None:
        process.kill()
    process.wait(PATIENCE)


@pytest.mark.parametrize("case", sorted(SHOWN))
def test_a_project_is_run(case: str, program: Program) -> None:
    program.wait_for("Ctrl-C ends it")
    program.write()
    for pattern in SHOWN[case]:
        program.wait_for(pattern)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(PATIENCE) == 0
    assert "Traceback" not in program.screen
    assert not (program.folder / ".local").exists()


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_project_is_refused_in_one_sentence(case: str, program: Program) -> None:
    assert program.process.wait(PATIENCE) == 2
    (line,) = program.screen.splitlines()
    assert re.match(f"up: {REFUSED[case]}", line), line


@pytest.mark.parametrize("case", sorted(set(REFUSED) - {"fails/14-stream-arn-parameter"}))
def test_what_the_template_decides_is_told_before_the_embedded_aws_is_imported(case: str) -> None:
    watched = (
        "import sys; from tablestream.__main__ import main; status = main(['local']); print('moto' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{watched}; sys.exit(status)"],
        check=False,
        cwd=HERE / case,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "False\n")
