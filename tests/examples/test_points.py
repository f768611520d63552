"""The points of orders under fault schedules: five mistakes are found, and nothing where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.points.points import make_worker
from tablestream import Worker
from tablestream.simulation import ScheduleFailed, Services, Stream, fresh

FOLDER = Path(__file__).parents[2] / "examples" / "points"
SEEDS = range(500)
WRONG = (
    "examples.wrong_points.effect_before_check",
    "examples.wrong_points.counter_without_guard",
    "examples.wrong_points.id_from_clock",
    "examples.wrong_points.swallowed_exception",
    "examples.wrong_points.state_between_invocations",
)
MOST_STEPS = 6


class Wrong:
    """A worker with a mistake, its module new in each environment: the points of all orders are to be there once."""

    def __init__(self, services: Services, module: str) -> None:
        self.services = services
        self.module = module
        self.points = services.tables.create("points", "pk")

    def start(self) -> Worker:
        worker: Worker = fresh(self.module).make_worker(self.services.dynamodb)
        return worker

    def at_end(self) -> None:
        given = sum(int(item["points"]["N"]) for item in self.points.items.values() if "points" in item)
        wanted = sum(order["points"] for order in self.services.items.values())
        assert given == wanted


def orders(seeds: range) -> Stream:
    stream = Stream(seeds).keyed("id", table="orders")
    for number, customer in enumerate(("ann", "bob", "ann", "cleo", "dan")):
        stream.insert({"id": str(number), "customer": customer, "points": 2**number})
    return stream


@pytest.mark.parametrize("module", WRONG, ids=lambda name: name.rpartition(".")[2])
def test_a_mistake_is_found_and_told_in_few_steps(module: str) -> None:
    with pytest.raises(ScheduleFailed) as failed:
        orders(SEEDS).play(lambda services: Wrong(services, module))
    # The change, what goes wrong, and perhaps a little more.
    assert 2 <= failed.value.schedule.length <= MOST_STEPS
    with pytest.raises(ScheduleFailed) as again:
        orders(range(failed.value.seed, failed.value.seed + 1)).play(lambda services: Wrong(services, module))
    assert str(again.value) == str(failed.value)


class Right(Wrong):
    """The worker without a mistake."""

    def start(self) -> Worker:
        return make_worker(self.services.dynamodb)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    orders(SEEDS).play(lambda services: Right(services, ""))


def test_its_own_test_passes_in_a_folder_of_its_own(tmp_path: Path) -> None:
    for name in ("points.py", "test_points.py"):
        shutil.copy(FOLDER / name, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tablestream.simulation.plugin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_documentation_shows_what_is_told() -> None:
    with pytest.raises(ScheduleFailed) as failed:
        orders(SEEDS).play(lambda services: Wrong(services, "examples.wrong_points.counter_without_guard"))
    told = str(failed.value).partition("what is wrong:")[0]
    assert told in (FOLDER.parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")
