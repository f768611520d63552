"""Commands that other terminals give are filled in with the names of the running stack."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tablestream.local.cli.commands import main
from tablestream.local.cli.session import STATE, State

OUTPUTS = {"Leads": "leads-Leads-1", "Counts": "leads-Counts-1"}
SHOW = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.fixture(autouse=True)
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state file of an `up` that seems to run."""
    monkeypatch.chdir(tmp_path)
    STATE.parent.mkdir()
    state = State(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2", None, "leads", OUTPUTS, {}, {})
    STATE.write_text(json.dumps(asdict(state)))


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("{Leads}", "leads-Leads-1"),
        ("s3://{stack}/{Counts}/", "s3://leads/leads-Counts-1/"),
        ('{"id":{"S":"1"}}', '{"id":{"S":"1"}}'),
        ('{"table":"{Leads}"}', '{"table":"leads-Leads-1"}'),
        ("Items[].{Id:id}", "Items[].{Id:id}"),
        ("{}", "{}"),
        ("{0}", "{0}"),
        ("${HOME}", "${HOME}"),
        ("for x in range(2): print(f'{x} {Leads}')", "for x in range(2): print(f'{x} leads-Leads-1')"),
    ],
)
def test_names_of_outputs_are_filled_in_and_other_braces_stay(
    capfd: pytest.CaptureFixture[str], given: str, passed_on: str
) -> None:
    assert main(["exec", sys.executable, "-c", SHOW, given]) == 0
    assert json.loads(capfd.readouterr().out) == [passed_on]


@pytest.mark.parametrize("word", ["{Countss}", "s3://{Countss}/x", '{"table":"{Countss}"}'])
def test_a_name_that_is_no_output_is_told_with_those_that_are(capfd: pytest.CaptureFixture[str], word: str) -> None:
    assert main(["exec", sys.executable, "-c", SHOW, word]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err == "exec: {Countss}: wanted an output of the stack (Counts, Leads)\n"
