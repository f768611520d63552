"""A dry run shows what a worker would carry out, and answers what the worker would answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from tablestream import Change, InvalidEvent, InvalidRecord, PermanentFailure, Router, SystemicFailure
from tablestream.dry_run import DryRun, DryRunSink
from tablestream.testing import FakeContext, event, inserted, removed

NOTE = "Dry run: no stack. Shown, not carried out (it may be personal data):"


@dataclass(frozen=True, slots=True)
class Text:
    to: str


def send(change: Change) -> list[Text] | None:
    name = change.image["name"]
    if name == "nobody":
        raise InvalidRecord("name: wanted somebody, got nobody")
    if name == "bug":
        raise NotImplementedError
    return [Text(name), Text(name)] if name == "twice" else [Text(name)]


def words(effect: Text) -> str:
    if effect.to == "refused":
        raise PermanentFailure("nobody takes this")
    if effect.to == "broken":
        raise ZeroDivisionError
    return f"a text to {effect.to}"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def dry_run(said: list[str]) -> DryRun:
    router = Router()
    router.on_insert("Person")(send)
    sink = DryRunSink("texts", (Text,), show=words, say=said.append)
    return DryRun(router, [sink], because="no stack", say=said.append)


def person(name: str) -> dict[str, object]:
    return {"pk": name, "sk": "-", "entityType": "Person", "name": name}


def test_each_effect_is_a_line_under_the_one_that_says_that_nothing_is_carried_out(
    dry_run: DryRun, said: list[str]
) -> None:
    assert dry_run(event(inserted(person("ada")), inserted(person("twice"))), FakeContext()) == {
        "batchItemFailures": []
    }

    assert said[0] == NOTE
    assert sorted(said[1:]) == ["  texts: a text to ada", "  texts: a text to twice", "  texts: a text to twice"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nobody", "name: wanted somebody, got nobody"), ("refused", "nobody takes this")],
    ids=["by the handler", "by the sink"],
)
def test_a_bad_record_is_a_dead_letter_with_its_reason(
    name: str, reason: str, dry_run: DryRun, said: list[str]
) -> None:
    happening = event(inserted(person(name)), inserted(person("ada")))

    assert dry_run(happening) == {"batchItemFailures": []}

    (letter,) = [line for line in said if line.startswith("  dead letter: ")]
    assert happening["Records"][0]["eventID"] in letter
    assert reason in letter
    assert "  texts: a text to ada" in said


def test_what_the_sink_would_fail_for_now_is_reported_and_its_neighbour_remembered(
    dry_run: DryRun, said: list[str]
) -> None:
    happening = event(inserted(person("ada")), inserted(person("broken")), inserted(person("bob")))

    answer = dry_run(happening)

    sequence_number = happening["Records"][1]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": sequence_number}]}
    assert "  journal: 1 done of a record that may come again" in said


def test_what_no_handler_wants_is_said(dry_run: DryRun, said: list[str]) -> None:
    twice = inserted(person("ada"))

    dry_run(event(twice, twice, inserted({"pk": "1", "sk": "-"}), removed({"pk": "2", "sk": "-", "entityType": "Car"})))

    assert "  nothing to do: 2 of 4 records, which no handler wants" in said
    assert "  nothing to do: 1 of 4 records, which stand in the event before" in said


def test_a_record_of_any_table_is_taken(dry_run: DryRun, said: list[str]) -> None:
    dry_run(event(inserted(person("ada"), table="another")))

    assert said[1:] == ["  texts: a text to ada"]


def test_what_the_worker_refuses_is_refused(dry_run: DryRun, said: list[str]) -> None:
    with pytest.raises(InvalidEvent, match="got no Records"):
        dry_run({"hello": "world"})
    with pytest.raises(SystemicFailure):
        dry_run(event(*(inserted({**person("bug"), "pk": str(number)}) for number in range(20))))

    assert said == [NOTE, NOTE]


def test_the_log_tells_of_nothing_that_did_not_happen(dry_run: DryRun, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        dry_run(event(inserted(person("nobody"))))

    assert caplog.records == []


def test_an_effect_shows_itself_unless_told_how(capsys: pytest.CaptureFixture[str]) -> None:
    router = Router()
    router.on_insert("Person")(send)
    DryRun(router, [DryRunSink("texts", (Text,))], because="no stack")(event(inserted(person("ada"))))

    assert capsys.readouterr().out.splitlines() == [NOTE, "  texts: Text(to='ada')"]
