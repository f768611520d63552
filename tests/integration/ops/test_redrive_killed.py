"""The redrive is killed at ten points, and run again: nothing is doubled, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tablestream.local.cloud.faults import Fault
from tablestream.ops.__main__ import main
from tests.integration.ops.bench import STOCK, Bench, bench

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SECONDS = {"before": "1", "during": "6", "after": "1"}
"""How long the lease lasts at least: one that goes on takes a tenth of a second, or more on a busy machine."""
POINTS = [
    ("GetObject", 6, "after"),  # the plan is made, nothing is sent
    ("Invoke", 1, "after"),  # the worker has said that it reports, no more
    ("Invoke", 2, "before"),
    ("Invoke", 2, "during"),  # the invocation goes on without the tool
    ("Invoke", 2, "after"),
    ("CopyObject", 1, "after"),  # the copy is there, and so is the object
    ("DeleteObject", 2, "before"),
    ("DeleteObject", 3, "after"),  # one batch is settled
    ("Invoke", 3, "during"),  # of a batch that two objects share with the next one
    ("Invoke", 4, "after"),  # the poison is stored again, and the tool does not know
    ("DeleteObject", 5, "before"),  # a batch that was given up is copied
]
PARTS = [
    ("PutObject", 2, "after"),  # what is settled of an object is copied
    ("PutObject", 3, "during"),  # what is left of it is being written
]
Point = tuple[str, int, str]


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


def set_aside(world: Bench) -> None:
    """Set aside nine changes of seven orders in six objects, one of them twice and one that will never succeed."""
    orders = [world.placed(f"o-{number}", number) for number in range(1, 7)]
    for record in orders[:3]:
        world.park(record)
    world.park(world.placed("bad", 7, -1))
    world.give_up([orders[2], orders[3], orders[4], world.cancelled("o-4", 20)])
    world.give_up([orders[5], world.cancelled("o-1", 21)])


COMMAND = ["redrive", "run", "--stack", "tablestream", "--batch-size", "3", "--rate", "0"]


def kill(point: Point) -> None:
    command = [*map(str, point), *COMMAND, "--lease-seconds", SECONDS[point[2]]]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.ops.killed", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


@pytest.fixture
def fresh(world: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    world.begin()
    set_aside(world)
    return world


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_redrive_is_finished_by_the_next(fresh: Bench, point: Point) -> None:
    kill(point)
    check_the_next(fresh)


@pytest.mark.parametrize("point", PARTS)
def test_a_redrive_killed_while_an_object_is_parted_is_finished_by_the_next(fresh: Bench, point: Point) -> None:
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException", "ORDER#o-5")):
        kill(point)
    check_the_next(fresh)


def check_the_next(world: Bench) -> None:
    """Run the redrive to its end, and look whether anything is doubled or left."""
    assert main(COMMAND) == 1  # the poison is poison again
    (left,) = world.left()
    assert world.letters(left)[0].body["error_class"] == "InvalidRecord"
    assert set(world.announced().values()) == {1}
    assert [world.status(f"o-{number}") for number in range(1, 7)] == [
        "cancelled",
        "confirmed",
        "confirmed",
        "cancelled",
        "confirmed",
        "confirmed",
    ]
    assert world.shop.available()["tea"] + world.held() == STOCK
    assert world.keys("redrive/") == []
    assert moved(world) == {f"{number}" for number in [*range(1, 7), 20, 21]}


def moved(world: Bench) -> set[str]:
    """Return the numbers of the records that are kept under `redriven/`."""
    numbers: set[str] = set()
    for letter in world.letters("redriven/"):
        records = letter.body["payload"]["Records"] if "payload" in letter.body else [letter.body["record"]]
        numbers |= {str(int(record["dynamodb"]["SequenceNumber"]) - 10**20) for record in records}
    return numbers
