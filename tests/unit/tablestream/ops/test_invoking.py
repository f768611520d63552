"""One invocation: what Lambda's response means, and what is done about Lambda's own errors."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tablestream.ops.invoking import (
    Answer,
    Broken,
    FirstFailed,
    Invoker,
    RateLimit,
    Reported,
    StoredLetter,
    Unreported,
    proven,
    read,
)
from tablestream.ops.terminal import CommandError, OutcomeUnknownError, StoppedError
from tablestream.run import Backoff
from tablestream.testing import FakeClock, client_error, inserted


def response(payload: object, *, error: bool = False) -> Any:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {"Payload": io.BytesIO(text), **({"FunctionError": "Unhandled"} if error else {})}


LETTER = {"eventID": "e", "sequenceNumber": "12", "errorClass": "KeyError", "key": "dead-letters/e.json"}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"batchItemFailures": [], "deadLetters": []}, Reported()),
        ({"batchItemFailures": None, "deadLetters": []}, Reported()),
        ({"batchItemFailures": [{"itemIdentifier": "12"}], "deadLetters": []}, Reported(12)),
        (
            {"batchItemFailures": [{"itemIdentifier": "9"}, {"itemIdentifier": "10"}], "deadLetters": [LETTER]},
            Reported(9, {("e", 12): StoredLetter("KeyError", "dead-letters/e.json")}),
        ),
        (
            {"batchItemFailures": [], "deadLetters": [{**LETTER, "key": None, "errorClass": "jane@example.com"}]},
            Reported(None, {("e", 12): StoredLetter("-", None)}),
        ),
    ],
)
def test_the_worker_says_what_failed_and_what_became_a_dead_letter(payload: object, expected: Answer) -> None:
    assert read(response(payload), "worker") == expected


@pytest.mark.parametrize(
    "payload", [None, b"", {}, [], "", {"batchItemFailures": []}, {"batchItemFailures": [{"itemIdentifier": "12"}]}]
)
def test_a_worker_that_does_not_say_what_became_a_dead_letter_is_told_from_others(payload: object) -> None:
    answer = read(response(payload), "orders-worker")
    assert isinstance(answer, Unreported)
    assert "orders-worker does not say which records became dead letters" in answer.problem


@pytest.mark.parametrize(
    "payload",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "12"}]},
        {"batchItemFailures": "12"},
        {"batchItemFailures": 5},
        {"batchItemFailures": [], "deadLetters": [{}]},
        {"batchItemFailures": [], "deadLetters": {"e": LETTER}},
        {"batchItemFailures": [], "deadLetters": [{**LETTER, "sequenceNumber": "x"}]},
        {"batchItemFailures": [], "deadLetters": [{**LETTER, "sequenceNumber": 12}]},
        {"batchItemFailures": [], "deadLetters": [{**LETTER, "eventID": None}]},
        {"batchItemFailures": [], "deadLetters": [{**LETTER, "key": 5}]},
        {"ok": True},
        "done",
        b"<html>",
        b"[" * 100_000,
    ],
)
def test_an_answer_that_breaks_the_rules_is_no_success(payload: object) -> None:
    answer = read(response(payload), "worker")
    assert isinstance(answer, Broken)
    assert answer.error == "InvalidAnswer"


def test_no_progress_names_the_first_record() -> None:
    error = {"errorType": "NoProgress", "errorMessage": "the first of 3 records failed"}
    assert read(response(error, error=True), "worker") == FirstFailed("the first of 3 records failed")


def test_the_message_of_an_error_that_may_quote_values_is_not_kept() -> None:
    error = {"errorType": "KeyError", "errorMessage": "jane@example.com", "stackTrace": []}
    assert read(response(error, error=True), "worker") == Broken("KeyError")


REPORTED: dict[str, list[Any]] = {"batchItemFailures": [], "deadLetters": []}


class Api:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []

    def invoke(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def invoker(api: Api) -> tuple[Invoker, FakeClock]:
    clock = FakeClock()
    return Invoker(api, "worker", lambda: None, clock, Backoff(tries=2, uniform=lambda _low, high: high)), clock


def test_the_worker_is_invoked_synchronously_with_an_event_of_the_records() -> None:
    api = Api(response(REPORTED))
    record = inserted({"pk": "a", "sk": "b", "name": "\ud800 é"})
    assert invoker(api)[0]([record]) == Reported()
    (request,) = api.requests
    assert (request["FunctionName"], request["InvocationType"]) == ("worker", "RequestResponse")
    assert json.loads(request["Payload"]) == {"Records": [record], "tablestream": {"report": True}}


def test_an_older_worker_is_refused_before_anything_is_sent() -> None:
    api = Api(response({"batchItemFailures": []}))
    with pytest.raises(CommandError, match="the deployed worker is older than this tool"):
        proven(invoker(api)[0])
    assert [json.loads(request["Payload"])["Records"] for request in api.requests] == [[]]


def test_a_worker_that_fails_for_no_record_at_all_is_told_before_anything_is_sent() -> None:
    broken = {"errorType": "ConfigurationError", "errorMessage": "JOURNAL_TABLE: wanted a name, got nothing"}
    with pytest.raises(StoppedError, match="a batch of no records: ConfigurationError JOURNAL_TABLE: wanted a name"):
        proven(invoker(Api(response(broken, error=True)))[0])


def test_a_worker_that_reports_is_taken() -> None:
    send = proven(invoker(Api(response(REPORTED), response(REPORTED)))[0])
    assert send([]) == Reported()


@pytest.mark.parametrize(
    "busy", [client_error("TooManyRequestsException", "Invoke"), EndpointConnectionError(endpoint_url="x")]
)
def test_a_busy_lambda_is_asked_again(busy: Exception) -> None:
    send, clock = invoker(Api(busy, busy, response(REPORTED)))
    assert send([]) == Reported()
    assert len(clock.slept) == 2


def test_a_lambda_that_stays_busy_ends_the_run() -> None:
    busy = client_error("TooManyRequestsException", "Invoke")
    with pytest.raises(StoppedError, match="TooManyRequestsException"):
        invoker(Api(busy, busy, busy))[0]([])


def test_a_connection_that_breaks_is_not_tried_again_for_the_invocation_may_go_on() -> None:
    api = Api(ReadTimeoutError(endpoint_url="x"), response(REPORTED))
    with pytest.raises(OutcomeUnknownError, match="ReadTimeoutError"):
        invoker(api)[0]([])
    assert len(api.requests) == 1


def test_missing_permissions_are_told_at_once() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        invoker(Api(client_error("AccessDeniedException", "Invoke")))[0]([])


def test_what_lambda_would_not_take_is_not_sent() -> None:
    api = Api()
    answer = invoker(api)[0]([{**inserted({"pk": "a", "sk": "b"}), "padding": "x" * 6_300_000}])
    assert isinstance(answer, Broken)
    assert answer.error == "RequestTooLarge"
    assert api.requests == []


def test_a_pace_is_kept_over_many_batches() -> None:
    clock = FakeClock()
    pace = RateLimit(50.0, clock)
    began = clock.now()
    for _ in range(10):
        pace.wait(100)
    assert clock.now() - began == pytest.approx(18.0)


def test_no_rate_is_no_wait() -> None:
    clock = FakeClock()
    RateLimit(0.0, clock).wait(10**9)
    assert clock.slept == []
