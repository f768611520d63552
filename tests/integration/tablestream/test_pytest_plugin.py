"""The plugin in a project of a user: fixtures, options, and what a failure looks like."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

PROGRAM = """
from tablestream import Change, Worker
from tablestream.sinks import Message, Topic

worker = Worker(table="leads", sinks=[Topic("sales")])

@worker.on_insert()
def created(change: Change) -> Message:
    return Message({"lead": change.new["id"]})
"""
KIT = """
from tablestream.sinks import Message
from tablestream.testing import TestedWorker, inserted

def test_a_lead_is_told(worker_kit: TestedWorker) -> None:
    sent = worker_kit.send(inserted({"id": "1"}, keys=("id",), table="leads"))
    assert sent.effects == [Message({"lead": "1"})]
"""
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
        assert [sent.value.body["lead"] for sent in self.services.sent] == ["1"]

def test_sales_hears_of_a_lead_once(stream: Stream) -> None:
    stream.keyed("id", table="leads")
    stream.insert({"id": "1"})
    stream.play(Sales)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(leads=PROGRAM)
    pytester.makeini("[pytest]\npythonpath = .\ntablestream_worker = leads:worker")
    return pytester


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "tablestream.simulation.plugin", *args)


def test_the_kit_has_the_worker_that_the_setting_names(project: pytest.Pytester) -> None:
    project.makepyfile(test_kit=KIT)
    run(project).assert_outcomes(passed=1)


def test_without_the_setting_the_error_says_what_is_wanted(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\npythonpath = .")
    project.makepyfile(test_kit=KIT)
    told = run(project)
    told.assert_outcomes(errors=1)
    told.stdout.fnmatch_lines("*wanted a module and a worker in it, such as leads:worker, got nothing*")


def test_a_failure_is_told_with_the_command_that_repeats_it(project: pytest.Pytester) -> None:
    project.makepyfile(test_schedules=SCHEDULES)
    told = run(project, "--tablestream-seeds=200")
    told.assert_outcomes(failed=1)
    told.stdout.re_match_lines(
        [
            r"E .*seed \d+ fails, shortened from \d+ steps to 2:",
            r"E .* 1\. change 1: insert \{'id': '1'\}",
            r"E .* 2\. sales of change 1: it takes place, .*",
            r"E .*what is wrong: AssertionError: assert \['1', '1'\] == \['1'\]",
        ]
    )
    (command,) = {line.rpartition("again: ")[2] for line in told.outlines if "again: " in line}
    test, _, option = command.removeprefix("python -m pytest ").rpartition(" ")
    repeated = run(project, test.strip('"'), option)
    first = [line for line in told.outlines if line.startswith("E  ")]
    assert [line for line in repeated.outlines if line.startswith("E  ")] == first
    assert not any("simulation/driver.py" in line for line in told.outlines), "nothing of the plugin in the traceback"


def test_a_seed_alone_and_few_seeds_are_played(project: pytest.Pytester) -> None:
    project.makepyfile(test_schedules=SCHEDULES)
    run(project, "--tablestream-seeds=1").assert_outcomes(passed=1)
    run(project, "--tablestream-seed=0").assert_outcomes(passed=1)


def test_the_options_are_explained(project: pytest.Pytester) -> None:
    told = run(project, "--help")
    told.stdout.fnmatch_lines(["*--tablestream-seeds=N*", "*--tablestream-seed=S*", "*tablestream_worker (string)*"])


def test_pytest_starts_without_what_no_test_asks_for(project: pytest.Pytester) -> None:
    project.makepyfile(test_none="import sys\n\ndef test_it() -> None:\n    assert 'botocore' not in sys.modules\n")
    run(project).assert_outcomes(passed=1)
