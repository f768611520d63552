"""The sinks that send entries keep one contract: packed, in order, each effect answered for, whatever comes back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from tablestream import DONE, Answer, Backoff, ConfigurationError, Deadline, Permanent, Run, Transient, Worker
from tablestream.sinks import EventBus, Message, Queue, Topic
from tablestream.sinks.messages import refusal
from tablestream.testing import FakeClock, client_error, effects
from tests.unit.tablestream.sinks.services import SINKS, FakeService, effect

FOREVER = Deadline.of(None, 0)
UNKNOWN = [
    ReadTimeoutError(endpoint_url="https://x"),
    ResponseParserError("<!DOCTYPE html>"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    KeyError("Entries"),
    client_error("InternalError", status=500),
]


@dataclass
class Bench:
    """A sink on a fake service."""

    name: str
    service: FakeService = field(default_factory=FakeService)
    clock: FakeClock = field(default_factory=FakeClock)

    def send(self, *texts: str, deadline: Deadline = FOREVER, **fields: Any) -> Sequence[Answer]:
        sink = SINKS[self.name](self.service)
        run = Run(deadline, clock=self.clock, backoff=Backoff(uniform=random.Random(1).uniform))
        return sink.apply(effects(*[effect(self.name, text, **fields) for text in texts]), run)


@pytest.fixture(params=sorted(SINKS))
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_entries_go_ten_in_a_call_in_order(bench: Bench) -> None:
    assert bench.send(*map(str, range(23))) == [DONE] * 23
    assert bench.service.calls == [[str(n) for n in range(10)], [str(n) for n in range(10, 20)], ["20", "21", "22"]]


def test_nothing_to_send_is_no_call(bench: Bench) -> None:
    assert bench.send() == []
    assert bench.service.calls == []


def test_large_entries_go_in_calls_of_their_own(bench: Bench) -> None:
    assert bench.send("a", "b", "c", filling="x" * 120_000) == [DONE] * 3
    assert bench.service.calls == [["a", "b"], ["c"]]


@pytest.mark.parametrize("error", UNKNOWN, ids=lambda error: type(error).__name__)
def test_a_call_whose_outcome_is_unknown_is_repeated_and_concerns_its_own_entries_only(
    bench: Bench, error: Exception
) -> None:
    bench.service.faults = [None, error]
    assert bench.send(*map(str, range(12))) == [DONE] * 12
    assert bench.service.calls == [[str(n) for n in range(10)], ["10", "11"]]


@pytest.mark.parametrize("error", UNKNOWN, ids=lambda error: type(error).__name__)
def test_a_call_that_stays_unknown_is_transient_for_its_own_entries_only(bench: Bench, error: Exception) -> None:
    bench.service.faults = [None, *[error] * 50]
    answers = bench.send(*map(str, range(12)))
    assert answers[:10] == [DONE] * 10
    assert [answer.error for answer in answers[10:] if isinstance(answer, Transient)] == [error] * 2
    assert len(bench.service.faults) == 50 - 5, "five tries"


def test_entries_that_were_refused_for_now_are_sent_again_and_no_others(bench: Bench) -> None:
    bench.service.refused_once = {"b": "ThrottlingException"}
    assert bench.send("a", "b", "c") == [DONE] * 3
    assert bench.service.calls == [["a", "b", "c"], ["b"]]
    assert len(bench.clock.slept) == 1


def test_an_entry_that_is_refused_without_end_is_transient(bench: Bench) -> None:
    bench.service.refused = {"b": "ThrottlingException"}
    first, second = bench.send("a", "b")
    assert first == DONE
    assert isinstance(second, Transient)
    assert str(second.error) == "ThrottlingException"


def test_an_entry_that_can_never_be_taken_is_permanent(bench: Bench) -> None:
    bench.service.refused = {"b": "ValidationException"}
    first, second = bench.send("a", "b")
    assert first == DONE
    assert isinstance(second, Permanent)
    assert "does not take the entry: ValidationException" in second.reason


@pytest.mark.parametrize("service", ["sns", "sqs"])
@pytest.mark.parametrize(
    ("code", "is_senders", "answer"),
    [
        ("InvalidParameter", True, Permanent),
        ("SomethingOfTheSender", True, Permanent),
        ("InternalError", False, Transient),
        ("Throttled", True, Transient),
        ("KMSAccessDenied", True, Transient),
        ("SomethingOfTheService", False, Transient),
    ],
)
def test_an_entry_that_fails_is_answered_by_whose_fault_it_is(
    service: str, code: str, is_senders: bool, answer: type[Answer]
) -> None:
    bench = Bench(service)
    bench.service.refused = {"a": code}
    bench.service.sender_faults = {code} if is_senders else set()
    first, second = bench.send("a", "b")
    assert isinstance(first, answer)
    assert second == DONE
    assert sum(call.count("b") for call in bench.service.calls) == 1


def test_a_throttled_call_is_waited_for(bench: Bench) -> None:
    bench.service.faults = [client_error("Throttling"), client_error("ThrottlingException")]
    assert bench.send("a") == [DONE]
    assert len(bench.clock.slept) == 2


def test_an_entry_that_fails_the_whole_call_is_found_and_the_others_go_through(bench: Bench) -> None:
    bench.service.invalid = {"b"}
    answers = bench.send("a", "b", "c")
    assert [type(answer) for answer in answers] == [type(DONE), Permanent, type(DONE)]
    assert bench.service.calls == [["a"], ["c"]]


def test_where_none_of_many_is_taken_the_configuration_is_at_fault_and_nothing_is_set_aside(bench: Bench) -> None:
    bench.service.refused = {str(number): "ValidationException" for number in range(12)}
    answers = bench.send(*bench.service.refused)
    assert {type(answer) for answer in answers} == {Transient}
    assert {type(answer) for answer in bench.send("0", "1", "2")} == {Permanent}


def test_missing_permission_is_not_tried_again(bench: Bench) -> None:
    bench.service.faults = [client_error("AccessDeniedException", status=403)] * 9
    assert {type(answer) for answer in bench.send("a", "b")} == {Transient}
    assert len(bench.service.faults) == 8


def test_an_entry_that_the_answer_does_not_speak_of_is_unknown(bench: Bench) -> None:
    bench.service.silent_about = {"b"}
    answers = bench.send("a", "b")
    assert isinstance(answers[1], Transient)
    assert "wanted one answer of" in str(answers[1].error)


def test_after_the_deadline_nothing_is_sent(bench: Bench) -> None:
    assert {type(answer) for answer in bench.send("a", deadline=Deadline(lambda: 0.0))} == {Transient}
    assert bench.service.calls == []


def test_an_endpoint_that_is_not_there_is_tried_again(bench: Bench) -> None:
    bench.service.faults = [EndpointConnectionError(endpoint_url="https://x")]
    assert bench.send("a") == [DONE]


# --- what is particular ----------------------------------------------------------------------------------------------


def test_attributes_are_those_of_the_message() -> None:
    bench = Bench("sns")
    bench.send("a")
    assert bench.service.entries[0]["MessageAttributes"] == {"type": {"DataType": "String", "StringValue": "said"}}


def test_a_fifo_queue_gets_the_item_as_group_and_the_effects_id_for_deduplication() -> None:
    service = FakeService()
    sink = Queue("https://sqs.eu-central-1.amazonaws.com/123456789012/sales.fifo", client=service)  # type: ignore[arg-type]
    one, other = effects(Message({"text": "a"}), Message({"text": "b"}))
    assert sink.apply([one, other], Run()) == [DONE, DONE]
    first, second = service.entries
    assert (first["MessageGroupId"], second["MessageGroupId"]) == (one.item, other.item)
    assert first["MessageDeduplicationId"] != second["MessageDeduplicationId"]
    assert len(first["MessageDeduplicationId"]) == 64, "SQS takes 128 characters at most"
    assert sink.name == "sales"


@pytest.mark.parametrize(
    ("sink", "variable", "value"),
    [
        (Topic("sales"), "SALES_TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:x"),
        (Queue("sales"), "SALES_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/x"),
        (EventBus("sales"), "SALES_BUS", "x"),
    ],
    ids=["sns", "sqs", "eventbridge"],
)
def test_a_name_is_looked_up_in_the_environment(sink: Any, variable: str, value: str) -> None:
    names = {"JOURNAL_TABLE": "journal", "FAILURES_BUCKET": "failures"}
    with pytest.raises(ConfigurationError, match=rf"^{variable}: wanted .*, got nothing$"):
        Worker(sinks=[sink]).handler(names)
    with pytest.raises(ConfigurationError, match=rf"^{variable}: wanted .*, got str '!'$"):
        Worker(sinks=[sink]).handler({**names, variable: "!"})
    Worker(sinks=[sink]).handler({**names, variable: value})
    assert sink.name == "sales"


def test_a_sink_that_was_not_connected_says_so_and_loses_nothing() -> None:
    for sink, service in ((Topic("sales"), "sns"), (Queue("sales"), "sqs"), (EventBus("sales"), "eventbridge")):
        (answer,) = sink.apply(effects(effect(service, "a")), Run(clock=FakeClock()))
        assert isinstance(answer, Transient)
        assert "is not connected" in str(answer.error)


@pytest.mark.parametrize(
    ("code", "sender", "answer"),
    [
        ("InvalidParameter", True, Permanent),
        ("SomethingOfTheSender", True, Permanent),
        ("InternalError", False, Transient),
        ("Throttled", True, Transient),
        ("KMSAccessDenied", True, Transient),
        ("SomethingOfTheService", False, Transient),
    ],
)
def test_an_entry_that_is_refused_is_answered_by_whose_fault_it_is(
    code: str, *, sender: bool, answer: type[Permanent | Transient]
) -> None:
    assert isinstance(refusal("SNS", code, sender=sender), answer)
