"""`Worker` as a user makes it: handlers and sinks on one object, a Lambda handler from it, and a test of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tablestream import (
    DONE,
    Answer,
    Change,
    ConfigurationError,
    Effect,
    InvalidRecord,
    Router,
    Run,
    Sink,
    Transient,
    Worker,
)
from tablestream.aws import Aws, variable_of
from tablestream.testing import FakeContext, MemoryDeadLetters, MemoryJournal, RecordingSink, event, inserted, modified

LEAD = {"id": "1", "email": "a@example.com", "status": "new"}
KEYS = ("id",)
NAMES = {"JOURNAL_TABLE": "journal", "FAILURES_BUCKET": "failures", "AWS_DEFAULT_REGION": "eu-central-1"}


@dataclass(frozen=True, slots=True)
class Text:
    words: str


def leads(**settings: Any) -> Worker:
    """Return a worker with a handler and no sink yet."""
    worker = Worker(table="leads", **settings)

    @worker.on_insert()
    def created(change: Change) -> Text:
        return Text(change.new["email"])

    return worker


def new_lead(**changes: Any) -> Any:
    return inserted({**LEAD, **changes}, keys=KEYS, table="leads")


def in_memory() -> dict[str, Any]:
    return {"journal": MemoryJournal(), "dead_letters": MemoryDeadLetters()}


# --- handlers and sinks ----------------------------------------------------------------------------------------------


def test_a_decorated_function_is_the_sink_of_its_effects() -> None:
    sent: list[str] = []
    worker = leads(**in_memory())

    @worker.sink(Text)
    def send(text: Text) -> None:
        sent.append(text.words)

    assert worker(event(new_lead())) == {"batchItemFailures": []}
    assert sent == ["a@example.com"]
    send(Text("still a function"))
    assert sent[-1] == "still a function"


def test_handlers_of_another_file_are_included() -> None:
    router = Router()
    router.on_insert()(lambda change: Text(change.new["status"]))
    worker = leads()
    worker.include(router)
    worker.sink(Text)(print)
    assert worker.tested().send(new_lead()).effects == [Text("a@example.com"), Text("new")]


@pytest.mark.parametrize("register", ["on_insert", "on_modify", "on_remove"])
def test_a_decorator_without_parentheses_is_refused(register: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"write @worker\.{register}\(\) with parentheses"):
        getattr(Worker(), register)(lambda _change: None)


def test_a_worker_without_handlers_says_so_instead_of_doing_nothing() -> None:
    with pytest.raises(ConfigurationError, match="the worker has no handlers"):
        Worker(**in_memory())(event(new_lead()))


def test_a_worker_that_was_not_connected_says_what_to_call() -> None:
    with pytest.raises(ConfigurationError, match=r"call what worker\.handler\(\) gives"):
        leads()(event(new_lead()))


def test_two_sinks_for_one_effect_are_refused_when_the_second_is_registered() -> None:
    worker = leads()
    worker.sink(Text)(print)
    with pytest.raises(ConfigurationError, match="wanted one sink for Text, got print and other"):
        worker.sink(Text, name="other")(print)
    with pytest.raises(ConfigurationError, match="wanted sinks with different names, got print more than once"):
        worker.sink(str)(print)


def test_a_function_without_a_name_needs_one() -> None:
    class Caller:
        def __call__(self, _text: Text) -> None: ...

    with pytest.raises(ConfigurationError, match="Caller has no name of its own"):
        leads().sink(Text)(Caller())


# --- whole records, as with Powertools' batch utility ----------------------------------------------------------------


def test_a_function_can_handle_whole_records() -> None:
    seen: list[str] = []
    worker = Worker(**in_memory())

    @worker.per_record
    def handle(record: Any) -> None:
        seen.append(record["eventName"])
        if record["eventName"] == "MODIFY":
            raise InvalidRecord("no")

    records = (new_lead(), modified(LEAD, {**LEAD, "status": "won"}, keys=KEYS, table="leads"))
    assert worker(event(*records)) == {"batchItemFailures": []}
    assert seen == ["INSERT", "MODIFY"]


def test_a_neighbours_failure_hands_no_record_over_again() -> None:
    seen: list[str] = []
    worker = Worker(**in_memory())

    def handle(record: Any) -> None:
        seen.append(record)
        if record == "2" and seen.count("2") == 1:
            raise ConnectionError

    worker.per_record(handle, record_class=lambda record: record["dynamodb"]["Keys"]["id"]["S"])
    whole = event(*[new_lead(id=number) for number in "123"])
    assert worker(whole)["batchItemFailures"] == [{"itemIdentifier": whole["Records"][1]["dynamodb"]["SequenceNumber"]}]
    worker({"Records": whole["Records"][1:]})
    assert sorted(seen) == ["1", "2", "2", "3"]


# --- the Lambda handler ----------------------------------------------------------------------------------------------


class NeedsTopic:
    """A sink that the environment has to name a topic for."""

    name, takes, idempotent = "texts", (Text,), False

    def __init__(self) -> None:
        self.connected: list[str] = []

    def connect(self, aws: Aws) -> Sink:
        self.connected.append(aws.named("SALES_TOPIC_ARN", re.compile("arn:.*"), "the ARN of a topic"))
        return RecordingSink((Text,), "texts")

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:  # noqa: ARG002 -- the protocol's
        return [DONE] * len(effects)


def test_all_that_the_environment_lacks_is_named_at_once() -> None:
    worker = leads(sinks=[NeedsTopic()])
    with pytest.raises(ConfigurationError) as caught:
        worker.handler({"JOURNAL_TABLE": "a b"})
    assert str(caught.value) == (
        "SALES_TOPIC_ARN: wanted the ARN of a topic, got nothing; JOURNAL_TABLE: wanted a table's name, got str 'a b'; "
        "FAILURES_BUCKET: wanted a bucket's name, got nothing"
    )


def test_names_come_from_the_environment() -> None:
    sink = NeedsTopic()
    worker = leads(sinks=[sink], **in_memory())
    handler = worker.handler(
        {"SALES_TOPIC_ARN": "arn:x", "LEADS_TABLE": "stack-leads-1", "AWS_LAMBDA_FUNCTION_NAME": "crm"}
    )
    assert sink.connected == ["arn:x"]
    record = inserted(LEAD, keys=KEYS, table="stack-leads-1")
    assert handler(event(record), FakeContext()) == {"batchItemFailures": []}


def test_a_sink_that_comes_after_the_handler_is_refused() -> None:
    worker = leads()
    worker.handler(NAMES)
    with pytest.raises(ConfigurationError, match=r"sink print comes too late: register it before worker\.handler\(\)"):
        worker.sink(Text)(print)


@pytest.mark.parametrize(
    ("name", "variable"), [("sales", "SALES_TABLE"), ("lead-counts", "LEAD_COUNTS_TABLE"), ("a.b_c", "A_B_C_TABLE")]
)
def test_the_variable_of_a_name(name: str, variable: str) -> None:
    assert variable_of(name, "TABLE") == variable


# --- a test of a worker ----------------------------------------------------------------------------------------------


def test_a_tested_worker_tells_what_became_of_records() -> None:
    worker = leads()
    worker.sink(Text)(print)
    tested = worker.tested()
    result = tested.send(new_lead(), new_lead(id="2"))
    assert result.effects == [Text("a@example.com")] * 2
    assert (result.response, result.dead_letters, result.error) == ({"batchItemFailures": []}, [], None)


def test_records_of_one_call_follow_those_of_the_last_and_one_that_was_sent_before_is_the_same() -> None:
    worker = leads()
    worker.sink(Text, name="texts")(print)
    tested = worker.tested()
    record = new_lead()
    tested.sinks["texts"].answer = lambda _text: Transient(OSError())
    tested.send(record)
    tested.sinks["texts"].answer = lambda _text: DONE
    tested.send(new_lead(id="2"), record)
    assert tested.sinks["texts"].ids[1] != tested.sinks["texts"].ids[0]
    assert len({outcome.split("/")[1] for outcome in tested.sinks["texts"].ids}) == 2


def test_a_bad_record_is_a_dead_letter_of_the_test() -> None:
    worker = leads()
    worker.sink(Text)(print)
    record = inserted({"id": "1"}, keys=KEYS, table="leads")
    result = worker.tested().send(record)
    assert [letter.reason for letter in result.dead_letters] == ["email: wanted a value, got none"]


def test_a_handlers_own_exception_is_raised() -> None:
    worker = leads()
    worker.sink(Text)(print)
    worker.on_insert()(lambda _change: Text(str(1 // 0)))
    with pytest.raises(ZeroDivisionError):
        worker.tested().send(new_lead())


def test_a_sink_of_the_test_can_be_told_to_fail() -> None:
    worker = leads()
    worker.sink(Text, name="texts")(print)
    tested = worker.tested()
    tested.sinks["texts"].answer = lambda text: DONE if text.words != "b" else Transient(OSError())
    result = tested.send(new_lead(), new_lead(id="2", email="b"))
    assert result.effects == [Text("a@example.com")]
    assert result.response is not None
    assert len(result.response["batchItemFailures"]) == 1
