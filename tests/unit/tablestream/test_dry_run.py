"""A dry run shows what a worker would carry out, and answers what the worker would answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tablestream import (
    Change,
    ConfigurationError,
    InvalidEvent,
    InvalidRecord,
    PermanentFailure,
    SystemicFailure,
    Worker,
)
from tablestream.dry_run import DryRun, DryRunSink
from tablestream.sinks import Message, Topic
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


Said = Callable[[], list[str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """The lines that were said since it was last called."""

    def lines() -> list[str]:
        return capsys.readouterr().out.splitlines()

    return lines


@pytest.fixture
def dry_run() -> DryRun:
    worker = Worker(table="people", sinks=[DryRunSink("texts", (Text,), show=words)])
    worker.on_insert("Person")(send)
    return worker.dry_run("no stack")


def person(name: str) -> dict[str, object]:
    return {"pk": name, "sk": "-", "entityType": "Person", "name": name}


def test_each_effect_is_a_line_under_the_one_that_says_that_nothing_is_carried_out(dry_run: DryRun, said: Said) -> None:
    assert dry_run(event(inserted(person("ada")), inserted(person("twice"))), FakeContext()) == {
        "batchItemFailures": []
    }

    first, *lines = said()
    assert first == NOTE
    assert sorted(lines) == ["  texts: a text to ada", "  texts: a text to twice", "  texts: a text to twice"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nobody", "name: wanted somebody, got nobody"), ("refused", "nobody takes this")],
    ids=["by the handler", "by the sink"],
)
def test_a_bad_record_is_a_dead_letter_with_its_reason(name: str, reason: str, dry_run: DryRun, said: Said) -> None:
    happening = event(inserted(person(name)), inserted(person("ada")))

    assert dry_run(happening) == {"batchItemFailures": []}

    lines = said()
    (letter,) = [line for line in lines if line.startswith("  dead letter: ")]
    assert happening["Records"][0]["eventID"] in letter
    assert reason in letter
    assert "  texts: a text to ada" in lines


def test_what_the_sink_would_fail_for_now_is_reported_and_its_neighbour_remembered(dry_run: DryRun, said: Said) -> None:
    happening = event(inserted(person("ada")), inserted(person("broken")), inserted(person("bob")))

    answer = dry_run(happening)

    sequence_number = happening["Records"][1]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": sequence_number}]}
    assert "  journal: 1 done of a record that may come again" in said()


def test_what_no_handler_wants_is_said(dry_run: DryRun, said: Said) -> None:
    twice = inserted(person("ada"))

    dry_run(event(twice, twice, inserted({"pk": "1", "sk": "-"}), removed({"pk": "2", "sk": "-", "entityType": "Car"})))

    assert said()[-2:] == [
        "  nothing to do: 2 of 4 records, which no handler wants",
        "  nothing to do: 1 of 4 records, which stand in the event before",
    ]


def test_a_record_of_any_table_is_taken(dry_run: DryRun, said: Said) -> None:
    dry_run(event(inserted(person("ada"), table="another")))

    assert said() == [NOTE, "  texts: a text to ada"]


def test_what_the_worker_refuses_is_refused(dry_run: DryRun, said: Said) -> None:
    with pytest.raises(InvalidEvent, match="got no Records"):
        dry_run({"hello": "world"})
    with pytest.raises(SystemicFailure):
        dry_run(event(*(inserted({**person("bug"), "pk": str(number)}) for number in range(20))))

    assert said() == [NOTE, NOTE]


def test_the_log_tells_of_nothing_that_did_not_happen(dry_run: DryRun, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        dry_run(event(inserted(person("nobody"))))

    assert caplog.records == []


# --- `worker.handler()` in `sam local` --------------------------------------------------------------------------------


LEFT = {"AWS_SAM_LOCAL": "true", "JOURNAL_TABLE": "Journal", "FAILURES_BUCKET": "Failures", "SALES_TOPIC_ARN": "Sales"}
"""What the SAM CLI leaves of a template's references."""
RESOLVED = {
    "JOURNAL_TABLE": "leads-journal",
    "FAILURES_BUCKET": "leads-failures",
    "SALES_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:sales",
    "AWS_REGION": "us-east-1",
}


def people() -> Worker:
    """Return a worker with a sink that calls AWS and one that calls something else."""
    worker = Worker(table="people", sinks=[Topic("sales")])

    @worker.on_insert()
    def greet(change: Change) -> list[object]:
        return [Text(change.image["name"]), Message({"name": change.image["name"]})]

    @worker.sink(Text)
    def send(_text: Text) -> None:
        raise AssertionError("this is a dry run")

    return worker


def test_a_worker_whose_names_are_not_resolved_does_a_dry_run_of_all_its_sinks(said: Said) -> None:
    handler = people().handler(LEFT)

    assert handler(event(inserted(person("ada"))), FakeContext()) == {"batchItemFailures": []}
    first, *lines = said()
    assert first.startswith("Dry run: AWS_ENDPOINT_URL names no stack of `make local`.")
    assert [line.partition(":")[0] for line in lines] == ["  sales", "  send"]
    assert "ada" in lines[0]
    assert lines[1] == "  send: Text(to='ada')"


def test_with_a_stack_it_has_the_names_of_the_stack_and_takes_records_of_any_table(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tablestream.dry_run.stack_variables", lambda _: RESOLVED)
    environ = dict(LEFT)
    handler = people().handler(environ)

    assert environ.items() >= RESOLVED.items()
    assert said() == ["Effects are carried out in the stack of `make local`, None"]
    assert handler(event(removed(person("ada"), table="another")), FakeContext()) == {"batchItemFailures": []}
    assert said() == []


def test_a_stack_that_does_not_know_the_names_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tablestream.dry_run.stack_variables", lambda _: {})

    with pytest.raises(ConfigurationError, match="SALES_TOPIC_ARN: wanted the ARN of a standard SNS topic"):
        people().handler(dict(LEFT))


@pytest.mark.parametrize(
    "changed", [{"AWS_SAM_LOCAL": ""}, {"FAILURES_BUCKET": ""}, {"SALES_TOPIC_ARN": "arn:aws:sns:nowhere"}]
)
def test_what_is_wrong_in_another_way_fails_the_start(changed: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        people().handler(LEFT | changed)
