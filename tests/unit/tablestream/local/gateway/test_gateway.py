"""Requests become events of payload format 2.0, and answers of functions become responses, as API Gateway has it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder
from werkzeug.wrappers import Request

from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, NotInvoked, TimedOut
from tablestream.local.gateway.gateway import MOST_BYTES, Gateway, event_of, within
from tablestream.local.gateway.routes import Cors, HttpApi, HttpRoute
from tablestream.local.runtime.function import Invocation
from tablestream.local.trigger.observations import RequestServed

ROUTE = HttpRoute("ANY", "/users/{id}", "Function")
ERROR = {"errorType": "KeyError", "errorMessage": "'x'"}
Json = Any


class Served:
    """A gateway whose function comes to one outcome, with the events that the function got and what was observed."""

    def __init__(
        self, outcome: InvocationOutcome, cors: Cors | None = None, changes: Mapping[str, int] | None = None
    ) -> None:
        self.events: list[Json] = []
        self.seen: list[RequestServed] = []
        self._outcome = outcome
        self.gateway = Gateway(
            HttpApi("Api", [ROUTE], cors=cors), self._invoke, self.seen.append, lambda _request_id: changes or {}
        )
        self.client = Client(self.gateway)

    def _invoke(self, route: HttpRoute, event: Json) -> Invocation:
        self.events.append(event)
        error = ERROR if isinstance(self._outcome, FunctionError) else None
        return Invocation("request-1", self._outcome, error)


def answered(**payload: Json) -> Served:
    return Served(Answered({"statusCode": 200, **payload}))


def event(path: str = "/users/ada", **request: Json) -> Json:
    api = HttpApi("Api", [ROUTE])
    asked = Request(EnvironBuilder(path, **request).get_environ())
    chosen = api.choose(asked.method, asked.path)
    assert chosen is not None
    return event_of(api, chosen, asked, "gateway-1", now=1_700_000_000.5)


def test_an_event_has_what_the_documentation_lists() -> None:
    made = event("/users/ada%20l?fields=name&fields=email&x=", headers={"User-Agent": "curl", "X-A": "1"})
    headers = made.pop("headers")
    assert headers["x-a"] == "1"
    assert headers["x-forwarded-proto"] == "http"
    assert made == {
        "version": "2.0",
        "routeKey": "ANY /users/{id}",
        "rawPath": "/users/ada l",
        "rawQueryString": "fields=name&fields=email&x=",
        "queryStringParameters": {"fields": "name,email", "x": ""},
        "pathParameters": {"id": "ada l"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": "GET",
                "path": "/users/ada l",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl",
            },
            "requestId": "gateway-1",
            "routeKey": "ANY /users/{id}",
            "stage": "$default",
            "time": "14/Nov/2023:22:13:20 +0000",
            "timeEpoch": 1_700_000_000_500,
        },
        "isBase64Encoded": False,
    }


def test_cookies_are_a_list_and_no_header() -> None:
    made = event(headers={"Cookie": "a=1; b=2"})
    assert made["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in made["headers"]


def test_several_headers_of_one_name_are_joined() -> None:
    made = event(headers=[("X-A", "1"), ("x-a", "2")])
    assert made["headers"]["x-a"].replace(" ", "") == "1,2"


@pytest.mark.parametrize(
    ("kind", "body", "encoded"),
    [
        ("application/json", b'{"name": "\xc3\xa9"}', False),
        ("application/problem+json", b"{}", False),
        ("text/csv", b"a,b", False),
        ("", b"{}", False),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("image/png", b"\x89PNG", True),
        ("application/json", b"\xff", True),
    ],
)
def test_a_body_is_text_where_its_type_is_and_base64_else(kind: str, body: bytes, encoded: bool) -> None:
    made = event(method="POST", data=body, headers={"Content-Type": kind} if kind else {})
    assert made["isBase64Encoded"] is encoded
    assert (base64.b64decode(made["body"]) if encoded else made["body"].encode()) == body


def test_an_answer_is_the_response_with_its_cookies_and_headers() -> None:
    served = answered(statusCode=201, headers={"X-A": "1", "X-Flag": True}, cookies=["a=1", "b=2"], body="made")
    response = served.client.post("/users/ada")
    assert (response.status_code, response.text) == (201, "made")
    assert response.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert (response.headers["X-A"], response.headers["X-Flag"]) == ("1", "true")
    assert response.headers["Content-Type"] == "text/plain;charset=UTF-8"
    assert response.headers["Apigw-Requestid"]


def test_an_answer_in_base64_is_sent_as_bytes() -> None:
    served = answered(body=base64.b64encode(b"\x89PNG").decode(), isBase64Encoded=True)
    assert served.client.get("/users/ada").data == b"\x89PNG"


@pytest.mark.parametrize("payload", [{"id": 1}, [1, 2], "text", 7, None])
def test_an_answer_without_a_status_is_a_body_of_json(payload: Json) -> None:
    response = Served(Answered(payload)).client.get("/users/ada")
    assert (response.status_code, response.json) == (200, payload)
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("outcome", "status", "message"),
    [
        (FunctionError("KeyError"), 500, "Internal Server Error"),
        (TimedOut(), 500, "Internal Server Error"),
        (NotInvoked(), 503, "Service Unavailable"),
        (Answered({"statusCode": "two"}), 500, "Internal Server Error"),
        (Answered({"statusCode": 99}), 500, "Internal Server Error"),
        (Answered({"statusCode": 200, "body": {"no": "text"}}), 500, "Internal Server Error"),
        (Answered({"statusCode": 200, "headers": {"X-A": ["1"]}}), 500, "Internal Server Error"),
        (Answered({"statusCode": 200, "headers": ["X-A"]}), 500, "Internal Server Error"),
        (Answered({"statusCode": 200, "headers": {"X-A": "1\r\nX-B: 2"}}), 500, "Internal Server Error"),
        (Answered({"statusCode": 200, "body": "?", "isBase64Encoded": True}), 500, "Internal Server Error"),
    ],
)
def test_what_is_no_answer_gets_api_gateways_words(outcome: InvocationOutcome, status: int, message: str) -> None:
    response = Served(outcome).client.get("/users/ada")
    assert (response.status_code, response.json) == (status, {"message": message})


def test_a_path_or_a_method_that_no_route_takes_invokes_nothing() -> None:
    served = answered()
    response = served.client.get("/orders")
    assert (response.status_code, response.json) == (404, {"message": "Not Found"})
    assert served.events == []


def test_a_body_above_the_limit_is_refused_before_the_function() -> None:
    served = answered()
    response = served.client.post("/users/ada", data=b"x" * (MOST_BYTES + 1), content_type="text/plain")
    assert (response.status_code, response.json) == (413, {"message": "Request Entity Too Large"})
    assert served.events == []
    assert served.client.post("/users/ada", data=b"x" * MOST_BYTES, content_type="text/plain").status_code == 200


ALLOWED = Cors(["https://a.example"], ["GET"], ["x-a"])
PREFLIGHT = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}


def test_with_cors_preflight_requests_are_answered_without_the_function() -> None:
    served = Served(Answered({"statusCode": 200}), ALLOWED)
    response = served.client.options("/anything", headers=PREFLIGHT)
    assert (response.status_code, response.headers["Access-Control-Allow-Methods"]) == (204, "GET")
    assert served.events == []


def test_without_cors_preflight_requests_are_routed_as_any() -> None:
    assert answered(statusCode=201).client.options("/users/ada", headers=PREFLIGHT).status_code == 201


def test_the_apis_cors_headers_replace_those_of_the_function() -> None:
    own = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "PUT"}
    served = Served(Answered({"statusCode": 200, "headers": own}), ALLOWED)
    response = served.client.get("/users/ada", headers={"Origin": "https://a.example"})
    told = {name: response.headers[name] for name, _ in response.headers.items() if name.startswith("Access-Control")}
    assert told == {"Access-Control-Allow-Origin": "https://a.example"}


@pytest.mark.parametrize(
    ("cors", "origin", "refused"),
    [
        (None, "https://a.example", True),
        (ALLOWED, "https://a.example", False),
        (ALLOWED, "https://b.example", True),
        (Cors(["*"]), "https://b.example", True),
        (None, "http://localhost:3000", False),
    ],
)
def test_pages_from_elsewhere_are_refused_unless_cors_names_them(cors: Cors | None, origin: str, refused: bool) -> None:
    headers: Any = {"Origin": origin, "Host": "127.0.0.1:8080"}
    environ = EnvironBuilder("/users/ada", headers=headers).get_environ()
    assert (Served(Answered({}), cors).gateway.refusal(environ) is not None) is refused


def test_each_request_is_observed_with_what_it_led_to() -> None:
    served = Served(Answered({"statusCode": 201}), changes={"INSERT": 1, "MODIFY": 2})
    served.client.post("/users/ada?x=1")
    (seen,) = served.seen
    assert (seen.api, seen.method, seen.path, seen.status, seen.error) == ("Api", "POST", "/users/ada?x=1", 201, None)
    assert seen.changed == "1 INSERT, 2 MODIFY"


def test_a_functions_error_is_observed_and_not_answered() -> None:
    served = Served(FunctionError("KeyError"))
    assert "KeyError" not in served.client.get("/users/ada").text
    assert served.seen[0].error == ERROR


def test_what_a_path_holds_cannot_move_a_terminals_cursor() -> None:
    served = answered()
    served.client.get("/users/%1b[2J?q=%1b")
    assert served.seen[0].path == "/users/%1B%5B2J?q=%1b"


def test_an_integration_that_takes_too_long_is_answered_and_the_function_goes_on() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def slow() -> Invocation:
        go_on.wait(20)
        ended.set()
        return Invocation("id", Answered({}))

    invocation = within(0.01, 60, slow)
    assert isinstance(invocation.outcome, NotInvoked)
    go_on.set()
    assert ended.wait(20)


def test_an_integration_in_time_is_answered_with_what_it_answers() -> None:
    done = Invocation("id", Answered({"statusCode": 200}))
    assert within(20, 60, lambda: done) is done
    assert within(20, 3, lambda: json.loads("{}") or done) is done
