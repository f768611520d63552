"""`Worker` as a user makes it: handlers and sinks on one object, a Lambda handler from it, and a test of it."""

from __future__ import annotations

import re
import threading
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
    InvalidEvent,
    InvalidRecord,
    PermanentFailure,
    Router,
    Run,
    Sink,
    Transient,
    Worker,
)
from tablestream.aws import Aws, variable_of
from tablestream.testing import (
    FakeClock,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    RecordingSink,
    event,
    inserted,
    modified,
)

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


def test_whole_records_are_handled_one_after_the_other_where_nothing_else_is_said() -> None:
    threads: set[int] = set()
    worker = Worker(**in_memory())
    worker.per_record(lambda _record: threads.add(threading.get_ident()))
    worker(event(*[new_lead(id=str(number)) for number in range(20)]))
    assert threads == {threading.get_ident()}


class NoAddress(Exception):
    """An error of the user's."""


@pytest.mark.parametrize(
    ("raises", "error"),
    [
        ("record_class", InvalidRecord("no")),
        ("record_class", NoAddress("no")),
        ("function", InvalidRecord("no")),
        ("function", NoAddress("no")),
        ("function", PermanentFailure("no")),
    ],
)
def test_what_says_that_a_whole_record_is_bad_makes_a_dead_letter_of_it(raises: str, error: Exception) -> None:
    letters = MemoryDeadLetters()
    worker = Worker(bad_record=[NoAddress], **in_memory() | {"dead_letters": letters})

    def fail(_record: Any) -> None:
        raise error

    if raises == "function":
        worker.per_record(fail)
    else:
        worker.per_record(lambda _record: None, record_class=fail)
    assert worker(event(new_lead())) == {"batchItemFailures": []}
    (reason,) = letters.reasons
    assert reason.endswith("no")


# --- the Lambda handler ----------------------------------------------------------------------------------------------


class NeedsTopic:
    """A sink that the environment has to name a topic for."""

    name, takes, idempotent = "texts", (Text,), False

    def __init__(self) -> None:
        self.connected: list[str] = []

    def connect(self, aws: Aws) -> Sink:
        self.connected.append(aws.named("SALES_TOPIC_ARN", re.compile("arn:.*"), "the ARN of a topic"))
        return RecordingSink((Text,), "texts")

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        return [DONE] * len(effects)


def test_all_that_the_environment_lacks_is_named_at_once() -> None:
    worker = leads(sinks=[NeedsTopic()])
    with pytest.raises(ConfigurationError) as caught:
        worker.handler({"JOURNAL_TABLE": "a b"})
    assert str(caught.value) == (
        "SALES_TOPIC_ARN: wanted the ARN of a topic, got nothing; JOURNAL_TABLE: wanted a table's name, got str 'a b'; "
        "FAILURES_BUCKET: wanted a bucket's name, got nothing"
    )


def test_outside_of_lambda_a_program_can_be_imported_and_its_handler_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_LAMBDA_FUNCTION_NAME", "AWS_SAM_LOCAL", "JOURNAL_TABLE", "FAILURES_BUCKET", "SALES_TOPIC_ARN"):
        monkeypatch.delenv(name, raising=False)
    worker = leads(sinks=[NeedsTopic()])
    handler = worker.handler()
    assert worker.tested().send(new_lead()).response == {"batchItemFailures": []}
    with pytest.raises(ConfigurationError, match="JOURNAL_TABLE: wanted a table's name, got nothing; FAILURES_BUCKET"):
        handler(event(new_lead()), FakeContext())
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "crm")
    with pytest.raises(ConfigurationError, match="JOURNAL_TABLE"):
        leads(sinks=[NeedsTopic()]).handler()


def test_names_come_from_the_environment() -> None:
    sink = NeedsTopic()
    worker = leads(sinks=[sink], **in_memory())
    handler = worker.handler(
        {"SALES_TOPIC_ARN": "arn:x", "LEADS_TABLE": "stack-leads-1", "AWS_LAMBDA_FUNCTION_NAME": "crm"}
    )
    assert sink.connected == ["arn:x"]
    record = inserted(LEAD, keys=KEYS, table="stack-leads-1")
    assert handler(event(record), FakeContext()) == {"batchItemFailures": []}


class JournalTable:
    """A client of DynamoDB that knows no item, and keeps what is put."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def batch_get_item(self, *, RequestItems: Any) -> Any:
        return {"Responses": {table: [] for table in RequestItems}, "UnprocessedKeys": {}}

    def batch_write_item(self, *, RequestItems: Any) -> Any:
        self.items += [put["PutRequest"]["Item"] for puts in RequestItems.values() for put in puts]
        return {"UnprocessedItems": {}}


@pytest.mark.parametrize(("setting", "days"), [({}, 14), ({"JOURNAL_TTL_DAYS": "7"}, 7)])
def test_the_journal_keeps_its_items_as_long_as_the_environment_says(setting: dict[str, str], days: int) -> None:
    table, clock = JournalTable(), FakeClock()
    worker = leads(clock=clock)

    @worker.sink(Text)
    def send(text: Text) -> None:
        if text.words == "b":
            raise ConnectionError

    handler = worker.handler(Aws(NAMES | setting, clients={"dynamodb": table}))
    batch = event(*[new_lead(id=name, email=name) for name in "abc"])
    handler(batch, FakeContext(clock=clock))
    assert [int(item["ttl"]["N"]) for item in table.items] == [int(clock.now()) + days * 86_400]


def test_what_the_environment_was_asked_for_before_is_told_with_what_the_worker_needs() -> None:
    aws = Aws({"JOURNAL_TABLE": "journal", "LIMIT": "-1", "FROM": "noon", "LOUD": "yes", "SHARE": "inf"})
    read = aws.number("LIMIT", 5, 0, 9), aws.number("SHARE", 0.5, 0.0, 1.0), aws.time("FROM"), aws.switch("LOUD")
    assert read == (5, 0.5, None, False)
    with pytest.raises(ConfigurationError) as caught:
        leads().handler(aws)
    assert str(caught.value).split("; ") == [
        "LIMIT: wanted a whole number from 0 to 9, got str '-1'",
        "SHARE: wanted a number from 0.0 to 1.0, got str 'inf'",
        "FROM: wanted a time like 2025-11-20T12:00:00Z, got str 'noon'",
        "LOUD: wanted true or false, got str 'yes'",
        "FAILURES_BUCKET: wanted a bucket's name, got nothing",
    ]


def test_a_setting_that_is_wrong_is_nothing_that_the_sam_cli_has_left() -> None:
    aws = Aws({"AWS_SAM_LOCAL": "true", "JOURNAL_TABLE": "Journal", "FAILURES_BUCKET": "Failures", "LIMIT": "many"})
    aws.number("LIMIT", 5, 0, 9)
    with pytest.raises(ConfigurationError, match="LIMIT: wanted a whole number from 0 to 9, got str 'many'"):
        leads().handler(aws)


def test_settings_are_read_and_clients_taken_as_they_are() -> None:
    client = object()
    given = {"LIMIT": "7", "SHARE": "0.25", "FROM": "2025-11-20T12:00:00Z", "LOUD": "true"}
    aws = Aws(given, clients={"dynamodb": client})
    assert (aws.number("LIMIT", 5, 0, 9), aws.number("SHARE", 0.5, 0.0, 1.0)) == (7, 0.25)
    assert (aws.time("FROM"), aws.switch("LOUD"), aws.switch("QUIET")) == (1_763_640_000.0, True, False)
    assert aws.dynamodb is client
    aws.check()


def test_a_sink_that_comes_after_the_handler_is_refused() -> None:
    worker = leads()
    worker.handler(NAMES)
    with pytest.raises(ConfigurationError, match=r"sink print comes too late: register it before worker\.handler\(\)"):
        worker.sink(Text)(print)


def test_a_variable_of_the_table_that_is_not_set_is_named_when_records_of_another_one_come() -> None:
    came = event(inserted(LEAD, keys=KEYS, table="stack-leads-1"))
    told = (
        r"^wanted records of the table leads, got arn:.*/stack-leads-1; LEADS_TABLE is not set, so the table's name is "
    )
    worker = leads(**in_memory())
    worker.sink(Text)(print)
    with pytest.raises(InvalidEvent, match=told + r"taken to be leads$"):
        worker.handler({**NAMES, "LEAD_TABLE": "stack-leads-1"})(came, FakeContext())


@pytest.mark.parametrize(
    ("table", "environ"), [("leads", {"LEADS_TABLE": "other"}), ("arn:aws:dynamodb:eu-west-1:1:table/leads", {})]
)
def test_one_that_is_set_or_is_not_looked_for_is_not(table: str, environ: dict[str, str]) -> None:
    worker = Worker(table=table, **in_memory())
    worker.on_insert()(lambda _change: None)
    with pytest.raises(InvalidEvent, match=r"^wanted records of the table .*, got arn:[^;]*$"):
        worker.handler({**NAMES, **environ})(event(new_lead()), FakeContext())


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
    assert [letter.reason for letter in result.dead_letters] == ["email: wanted a value, got none; the item has id"]


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
