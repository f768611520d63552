"""The template of `examples/counter_exactly_once`: short, faultless, and its role may do what the program calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cloudformation import ROOT, translated
from tests.template.actions import actions_called, reachable, services_used
from tests.template.lint_template import problems

FOLDER = ROOT / "examples" / "counter_exactly_once"
TEMPLATE = FOLDER / "template.yaml"
MOST_LINES = 40


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The program beside the library, as in its package."""
    (tmp_path / "leads.py").symlink_to(FOLDER / "leads.py")
    (tmp_path / "tablestream").symlink_to(ROOT / "src" / "tablestream")
    return tmp_path


def test_it_is_short_and_without_a_fault() -> None:
    assert len(TEMPLATE.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert problems(TEMPLATE) == []


def test_its_role_may_do_what_the_program_calls_and_nothing_else(sources: Path) -> None:
    policies = translated(TEMPLATE)["Resources"]["WorkerRole"]["Properties"]["Policies"]
    # The one that the translator adds is Lambda's own, for the on-failure destination.
    (ours,) = [one["PolicyDocument"] for one in policies if one["PolicyName"] == "WorkerRolePolicy0"]
    granted: set[str] = set()
    for statement in ours["Statement"]:
        action = statement["Action"]
        granted |= {action} if isinstance(action, str) else set(action)
    trees = reachable(sources, "leads")
    assert granted == actions_called(trees, services_used(trees))


def test_its_trigger_is_as_the_worker_needs_it() -> None:
    mapping = translated(TEMPLATE)["Resources"]["WorkerStream"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["Failures", "Arn"]}
