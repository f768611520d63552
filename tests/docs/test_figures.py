"""Figures that the documentation gives are those of the code and the template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tablestream.run import DEFAULT_MARGIN_SECONDS
from tests.support.cloudformation import translated

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "told", "times"),
    [
        ("operations.md", r"(\d+) seconds before the timeout", 1),
        ("tuning.md", r"`Timeout` less (\d+) s", 1),
        ("tuning.md", r"The worker stops (\d+) s before", 1),
    ],
)
def test_the_margin_is_the_templates(page: str, told: str, times: int) -> None:
    worker = translated()["Resources"]["Worker"]
    margin = worker["Properties"]["Environment"]["Variables"]["DEADLINE_MARGIN_SECONDS"]
    assert re.findall(told, (DOCS / page).read_text()) == [margin] * times
    assert float(margin) == DEFAULT_MARGIN_SECONDS


def test_contributing_says_of_each_script_how_many_seeds_it_takes() -> None:
    contributing = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    workflows = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / ".github" / "workflows").iterdir())
    (seeds,) = re.findall(r"make simulate SEEDS=(\d+)", (DOCS.parent / ".ci" / "run").read_text(encoding="utf-8"))

    assert f"SEEDS={seeds} is what .ci/run takes, the workflows on GitHub take none" in contributing
    assert "simulate" not in workflows
