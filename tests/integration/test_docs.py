"""Figures and names in the documentation that the template and the scripts also know."""

from __future__ import annotations

import re

import pytest

from tests.cloudformation import ROOT, translated

MARGIN = re.compile(r"(?:deadline, |stops |`Timeout` less )(\d+) s(?:econds)?\b")


@pytest.mark.parametrize("page", ["operations.md", "tuning.md"])
def test_the_margin_before_the_timeout_is_that_of_the_template(page: str) -> None:
    variables = translated()["Resources"]["Worker"]["Properties"]["Environment"]["Variables"]
    told = MARGIN.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))

    assert told
    assert set(told) == {variables["DEADLINE_MARGIN_SECONDS"]}


def test_contributing_says_of_each_script_how_many_seeds_it_takes() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    workflows = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").iterdir())
    (seeds,) = re.findall(r"make simulate SEEDS=(\d+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))

    assert f"SEEDS={seeds} is what .ci/run takes, the workflows on GitHub take none" in contributing
    assert "simulate" not in workflows
