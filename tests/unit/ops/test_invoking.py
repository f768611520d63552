"""One invocation: what Lambda's response means, and what is done about Lambda's own errors."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from ops.errors import OutcomeUnknownError, StoppedError
from ops.invoking import Answer, Broken, From, Head, Invoker, Settled, read
from tablestream.run import Backoff
from tablestream.testing import FakeClock, Raw, inserted


def response(payload: object, *, error: bool = False) -> Any:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {"Payload": io.BytesIO(text), **({"FunctionError": "Unhandled"} if error else {})}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, Settled()),
        (b"", Settled()),
        ({}, Settled()),
        ([], Settled()),
        ("", Settled()),
        ({"batchItemFailures": []}, Settled()),
        ({"batchItemFailures": None}, Settled()),
        ({"batchItemFailures": [{"itemIdentifier": "12"}]}, From(12)),
        ({"batchItemFailures": [{"itemIdentifier": "9"}, {"itemIdentifier": "10"}]}, From(9)),
    ],
)
def test_answers_are_read_by_lambdas_rules(payload: object, expected: Answer) -> None:
    assert read(response(payload)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "12"}]},
        {"batchItemFailures": "12"},
        {"ok": True},
        "done",
        b"<html>",
    ],
)
def test_an_answer_that_breaks_the_rules_is_no_success(payload: object) -> None:
    answer = read(response(payload))
    assert isinstance(answer, Broken)
    assert answer.error == "InvalidAnswer"


def test_no_progress_names_the_first_record() -> None:
    error = {"errorType": "NoProgress", "errorMessage": "the first of 3 records failed"}
    assert read(response(error, error=True)) == Head("the first of 3 records failed")


def test_the_message_of_an_error_that_may_quote_values_is_not_kept() -> None:
    error = {"errorType": "KeyError", "errorMessage": "jane@example.com", "stackTrace": []}
    assert read(response(error, error=True)) == Broken("KeyError")


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


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "Invoke")


def invoker(api: Api) -> tuple[Invoker, FakeClock]:
    clock = FakeClock()
    return Invoker(api, "worker", clock, Backoff(tries=2, uniform=lambda _low, high: high)), clock


def test_the_worker_is_invoked_synchronously_with_an_event_of_the_records() -> None:
    api = Api(response(None))
    record = inserted({"pk": "a", "sk": "b", "name": "\ud800 é"})
    assert invoker(api)[0]([record]) == Settled()
    (request,) = api.requests
    assert (request["FunctionName"], request["InvocationType"]) == ("worker", "RequestResponse")
    assert json.loads(request["Payload"]) == {"Records": [record]}


@pytest.mark.parametrize("busy", [error("TooManyRequestsException"), EndpointConnectionError(endpoint_url="x")])
def test_a_busy_lambda_is_asked_again(busy: Exception) -> None:
    send, clock = invoker(Api(busy, busy, response(None)))
    assert send([]) == Settled()
    assert len(clock.slept) == 2


def test_a_lambda_that_stays_busy_ends_the_run() -> None:
    busy = error("TooManyRequestsException")
    with pytest.raises(StoppedError, match="TooManyRequestsException"):
        invoker(Api(busy, busy, busy))[0]([])


def test_a_connection_that_breaks_is_not_tried_again_for_the_invocation_may_go_on() -> None:
    api = Api(ReadTimeoutError(endpoint_url="x"), response(None))
    with pytest.raises(OutcomeUnknownError, match="ReadTimeoutError"):
        invoker(api)[0]([])
    assert len(api.requests) == 1


def test_missing_permissions_are_told_at_once() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        invoker(Api(error("AccessDeniedException")))[0]([])


def test_what_lambda_would_not_take_is_not_sent() -> None:
    api = Api()
    answer = invoker(api)[0]([inserted({"pk": "a", "sk": "b", "text": Raw({"S": "x" * 6_300_000})})])
    assert isinstance(answer, Broken)
    assert answer.error == "RequestTooLarge"
    assert api.requests == []
