"""A folder has one running stack; commands of other terminals are filled in with its names."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tablestream.local.cli.commands import main
from tablestream.local.cli.session import STATE, State, announced
from tablestream.local.errors import UsageError
from tablestream.local.http import Serving

OUTPUTS = {"Leads": "leads-Leads-1", "Counts": "leads-Counts-1"}
NO_ANSWER = State(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2", None, "leads", OUTPUTS, {}, {})
SHOW = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.fixture(autouse=True)
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state file of an `up` that seems to run."""
    monkeypatch.chdir(tmp_path)
    keep(NO_ANSWER)


def keep(state: State) -> None:
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(asdict(state)))


def kept() -> State:
    return State(**json.loads(STATE.read_text()))


@pytest.fixture
def first() -> Iterator[State]:
    """The state of an `up` that does run: its control port answers."""
    with Serving(lambda _environ, _start: [], "control") as control:
        state = replace(NO_ANSWER, control=control.endpoint)
        keep(state)
        yield state


def test_the_state_is_whole_as_soon_as_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    link, whole = os.link, []

    def watched(made: Path, place: Path) -> None:
        whole.append((json.loads(Path(made).read_text())["stack"], Path(place).exists()))
        link(made, place)

    STATE.unlink()
    monkeypatch.setattr(os, "link", watched)
    with announced(replace(NO_ANSWER, stack="second")):
        assert [path.name for path in STATE.parent.iterdir()] == [STATE.name]
    assert whole == [("second", False)]


def test_a_second_up_in_a_folder_is_refused_and_says_how_to_end_the_first(
    first: State, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("template.yaml").write_text("Resources: {Topic: {Type: 'AWS::SNS::Topic'}}")
    assert main(["up", "--port", "0"]) == 2
    told = "up: the stack leads runs in this folder already, at http://127.0.0.1:1"
    assert capfd.readouterr().err.startswith(f"{told} (process {os.getpid()}): end it with Ctrl-C where it runs, ")
    assert kept() == first


def test_of_two_that_start_at_once_the_second_leaves_the_state_of_the_first(first: State) -> None:
    with pytest.raises(UsageError, match="runs in this folder already"), announced(replace(first, stack="second")):
        pass
    assert kept() == first


def test_what_was_left_behind_by_one_that_was_killed_is_replaced_and_removed_in_the_end() -> None:
    with announced(replace(NO_ANSWER, stack="second")):
        assert kept().stack == "second"
    assert not STATE.parent.exists()


def test_a_state_that_another_has_written_meanwhile_stays() -> None:
    with announced(replace(NO_ANSWER, stack="second")):
        keep(replace(NO_ANSWER, stack="third"))
    assert kept().stack == "third"


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
