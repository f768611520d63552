"""The tools as processes of their own: a pipe that nobody reads, Ctrl-C at a terminal, the version."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tablestream._version import __version__
from tablestream.ops.__main__ import main
from tests.integration.ops.bench import Bench, bench

ROOT = Path(__file__).parents[3]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tablestream {__version__}\n"


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


def started(world: Bench, *arguments: str, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    path = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
    return subprocess.Popen(
        [sys.executable, "-m", "tablestream.ops", "redrive", *arguments, "--stack", "tablestream"],
        env={**os.environ, **world.environment, "PYTHONPATH": path},
        stdout=stdout,
        stderr=stderr,
    )


@pytest.mark.slow
def test_a_pipe_that_nobody_reads_ends_it_in_silence(world: Bench) -> None:
    world.begin()
    key = world.park(world.placed("a", 1))
    with started(world, "show", key, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_ends_the_progress_line_and_the_run(world: Bench) -> None:
    world.begin()
    for number in range(3):
        world.park(world.placed(f"o-{number}", number))
    mine, its = pty.openpty()
    command = ("run", "--batch-size", "1", "--rate", "0.01")  # the second batch waits for its turn
    with started(world, *command, stdout=subprocess.DEVNULL, stderr=its) as process:
        os.close(its)
        written = b""
        while b"redriving 1 of 3" not in written:
            written += os.read(mine, 1024)
        process.send_signal(signal.SIGINT)
        try:
            while part := os.read(mine, 1024):
                written += part
        except OSError:
            pass  # the other end is closed
    os.close(mine)
    assert process.returncode == 130
    *_, bar, stopped, left = written.decode().replace("\x1b[K", "").split("\r\n")[:-1]
    assert bar.rpartition("\r")[2].startswith("redriving 1 of 3")
    assert stopped == "stopped: as asked"
    assert left == "what is left is where it was; the same command goes on"
    assert len(world.left()) == 2
