"""The pytest plugin: the fixtures `worker_kit` and `stream`, and the options of the schedules; docs/testing.md.

pytest loads it by its entry point wherever the wheel is installed; the library itself never imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tablestream.simulation.stream import Stream
    from tablestream.testing.tested import TestedWorker
    from tablestream.worker import Worker

_WORKER = "tablestream_worker"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the setting that names the worker."""
    group = parser.getgroup("tablestream", "fault schedules for workers of a DynamoDB stream")
    group.addoption(
        "--tablestream-seeds", type=int, default=50, metavar="N", help="play the schedules of the seeds 0 to N-1 (50)"
    )
    group.addoption("--tablestream-seed", type=int, metavar="S", help="play the schedule of one seed only")
    parser.addini(_WORKER, "the worker of the fixture worker_kit, such as leads:worker", default="")


@pytest.fixture
def tablestream_worker(request: pytest.FixtureRequest) -> Worker:
    """Return the worker that the setting `tablestream_worker` names; a project with several overrides this fixture."""
    named = str(request.config.getini(_WORKER))
    module, _, name = named.partition(":")
    if not module or not name:
        got = repr(named) if named else "nothing"
        raise pytest.UsageError(f"{_WORKER}: wanted a module and a worker in it, such as leads:worker, got {got}")
    worker: Worker = getattr(import_module(module), name)
    return worker


@pytest.fixture
def worker_kit(tablestream_worker: Worker) -> TestedWorker:
    """Return the worker on stand-ins, as `worker.tested()` makes it."""
    return tablestream_worker.tested()


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> Stream:
    """Return a stream without changes, which plays the seeds of the command line."""
    from tablestream.simulation.stream import Stream

    one = request.config.getoption("--tablestream-seed")
    seeds = range(request.config.getoption("--tablestream-seeds")) if one is None else [one]
    return Stream(seeds, f'python -m pytest "{request.node.nodeid}" --tablestream-seed=')
