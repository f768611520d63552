"""The table in docs/delivery-rules.md names every rule, and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.recordings import COMMIT, FILES, REPOSITORY
from tests.conformance.test_recordings import RECORDINGS

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "delivery-rules.md"
TEXT = TABLE.read_text(encoding="utf-8")
RECORDED = TEXT[TEXT.index("## Where R comes from") : TEXT.index("## Inferred about tumbling windows")]
ROW = re.compile(r"^\| (?P<rule>\d+) \|.*\| (?P<source>[DRPI, ]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(?P<module>test_\w+\.py)::test_rule_(?P<rule>\d\d)_\*`")
ROWS = {int(row["rule"]): row["tests"] for row in ROW.finditer(TEXT)}
SOURCES = {int(row["rule"]): row["source"].split(", ") for row in ROW.finditer(TEXT)}


def has_test(module: str, rule: int) -> bool:
    return f"\ndef test_rule_{rule:02}_" in (HERE / module).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", range(1, 37))
def test_every_rule_has_a_row_and_the_tests_it_names(rule: int) -> None:
    named = [(match["module"], int(match["rule"])) for match in NAMED.finditer(ROWS[rule])]
    assert named
    assert all(tested == rule and has_test(module, rule) for module, tested in named)


def test_every_test_of_a_rule_is_named_in_the_table() -> None:
    for module in HERE.glob("test_*.py"):
        for rule in re.findall(r"^def test_rule_(\d\d)_", module.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"`{module.name}::test_rule_{rule}_*`" in ROWS[int(rule)]


def test_every_rule_that_was_recorded_names_the_scenarios_and_no_other_does() -> None:
    named = {
        (int(rule), file, scenario)
        for rule, file, scenarios in re.findall(r"^\| (\d+) \| ([SKE]) \| (.+) \|$", RECORDED, re.MULTILINE)
        for scenario in re.findall(r"`(.+?)`(?= |$)", scenarios)
    }
    known = {
        (rule, one.file, one.scenario.removeprefix("test_event_pattern[").removesuffix("]" * (one.file == "E")))
        for one in RECORDINGS
        for rule in one.rules
    }
    assert named == known
    assert {rule for rule, _, _ in named} == {rule for rule, source in SOURCES.items() if "R" in source}


def test_the_recordings_are_named_by_repository_commit_and_file() -> None:
    assert f"https://github.com/{REPOSITORY}" in RECORDED
    assert f"`{COMMIT}`" in RECORDED
    assert all(f"**{letter}** `{file}`" in RECORDED for letter, file in FILES.items())
