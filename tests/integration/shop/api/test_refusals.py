"""Requests that are answered with an error: one shape for all, every wrong field at once, and nothing of the inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.support.http_requests import request
from tests.support.shop_api import TABLE, ShopApi

USER = {"email": "x@example.com", "name": "x"}


def test_every_field_that_is_wrong_is_told_in_one_answer(api: ShopApi) -> None:
    body = {"userId": "a b", "email": "two@@example.com", "tags": ["x", 1], "nmae": "Ada", "profile": [], "settings": 7}
    answer = api("POST", "/users", body)
    assert (answer.status, answer.body["requestId"]) == (400, "request-1")
    assert answer.fields == {
        "userId": "wanted 1 to 128 of A-Z a-z 0-9 . _ @ -, not dots alone, got something else",
        "email": "wanted an address with one @, of at most 254 characters, got text",
        "name": "wanted a value, got nothing",
        "profile": "wanted an object, got a list",
        "settings": "wanted an object, got a whole number",
        "tags[1]": "wanted text, got a whole number",
        "nmae": "wanted no such field, got one",
    }
    both = api("GET", "/users/a b/orders", limit=1000, stauts="pending")
    assert both.fields == {
        "userId": "wanted 1 to 128 of A-Z a-z 0-9 . _ @ -, not dots alone, got something else",
        "limit": "wanted less than or equal to 100, got 1000",
        "stauts": "wanted no such parameter, got one",
    }


@pytest.mark.parametrize("user_id", [".", "..", "...", "a/b", "ä", "x" * 129])
def test_an_id_is_a_part_of_a_path(api: ShopApi, user_id: str) -> None:
    assert list(api("POST", "/users", {**USER, "userId": user_id}).fields) == ["userId"]
    if "/" not in user_id:
        assert list(api("GET", f"/users/{user_id}").fields) == ["userId"]


@pytest.mark.parametrize("user_id", ["x", "-", ".x", "x.", "a@b.c", "x" * 128])
def test_an_id_may_have_dots(api: ShopApi, user_id: str) -> None:
    assert api("GET", f"/users/{user_id}").code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "body", "what"),
    [
        ("PATCH", "/users/nobody", {"name": "x"}, "user"),
        ("POST", "/users/nobody/reviews", {"productId": "tea", "rating": 5}, "user"),
        ("PATCH", "/users/nobody/orders/none", {"status": "cancelled", "expectedVersion": 1}, "order"),
        ("PATCH", "/sessions/none", {"extendSeconds": 5}, "session"),
        ("DELETE", "/leads/none", None, "lead"),
    ],
)
def test_what_is_not_there_is_named(api: ShopApi, method: str, path: str, body: Any, what: str) -> None:
    answer = api(method, path, body)
    assert (answer.status, answer.body["error"]) == (404, f"There is no such {what}")


def test_words_are_the_apis_own(api: ShopApi) -> None:
    line = {"productId": "tea", "quantity": "two", "price": -1}
    assert api("POST", "/users/x/orders", {"items": [line]}).fields == {
        "items[0].quantity": "wanted a whole number, got text",
        "items[0].price": "wanted a number that is not negative, got -1",
    }
    assert api("POST", "/users/x/orders", {"items": []}).fields == {"items": "wanted at least 1, got 0"}
    assert api("GET", "/users/x/orders", limit="abc").fields == {"limit": "wanted a whole number, got other text"}


@pytest.mark.parametrize("email", ["", "x", "@x", "x@", "a@b@c", "a b@c.de", "x" * 250 + "@y.de", 5, None, ["a@b.de"]])
def test_an_address_has_one_at(api: ShopApi, email: Any) -> None:
    assert list(api("POST", "/users", {**USER, "email": email}).fields) == ["email"]


@pytest.mark.parametrize("body", [{}, {"expectedVersion": 1}])
def test_a_change_changes_something(api: ShopApi, body: Any) -> None:
    assert list(api("PATCH", "/users/ada", body).fields) == ["body"]


@pytest.mark.parametrize("body", [{"name": None}, {"email": None}, {"name": "x", "expectedVersion": 0}])
def test_null_removes_neither_the_name_nor_the_address(api: ShopApi, body: Any) -> None:
    assert len(api("PATCH", "/users/ada", body).fields) == 1


def test_settings_are_at_most_4_kb(api: ShopApi) -> None:
    assert list(api("POST", "/users", {**USER, "settings": {"x": "y" * 4090}}).fields) == ["settings"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "body"),
        ("  ", "body"),
        ("{", "body"),
        ("nothing", "body"),
        ("[]", "body"),
        ('[{"email": "x@y.de", "name": "x"}]', "body"),
        ("null", "body"),
        ('"text"', "body"),
        ('{"name": NaN}', "name"),
        ('{"name": -Infinity}', "name"),
        ('{"profile": {"a": 1e400}}', "profile.a"),
        ('{"profile": {"a": 1e-131}}', "profile.a"),
        ('{"profile": {"a": 1234567890123456789012345678901234567890}}', "profile.a"),
        ('{"profile": {"a": 1e38}}', "profile.a"),
        ('{"profile": {"a": 1, "a": 2}}', "profile"),
        ('{"name": "x", "name": "y"}', "body"),
        ('{"name": "\\ud800"}', "name"),
        ('{"profile": {"\\udfff": 1}}', "profile"),
        ('{"tags": ["a", "\\ud83d\\ude00", "\\ude00"]}', "tags[2]"),
        ('{"profile": {"a": ' + "[" * 40 + "]" * 40 + "}}", "profile"),
        ("[" * 100_000, "body"),
    ],
)
def test_json_that_means_nothing_or_two_things_is_refused_with_its_place(api: ShopApi, text: str, field: str) -> None:
    answer = api("POST", "/users", text=text)
    assert (answer.status, list(answer.fields), api.calls) == (400, [field], [])


def test_32_levels_and_38_digits_are_taken(api: ShopApi) -> None:
    deep = "[" * 30 + "]" * 30
    numbers = (
        "[12345678901234567890123456789012345678, -0.0, 5e0, 1.10, 1E-130, 12345678901234567890.123456789012345678]"
    )
    profile = f'{{"deep": {deep}, "numbers": {numbers}}}'
    text = f'{{"email": "deep@example.com", "name": "\\ud83d\\ude00", "profile": {profile}}}'
    answer = api("POST", "/users", text=text)
    assert answer.status == 201, answer.text
    kept = '"numbers":[12345678901234567890123456789012345678,0,5,1.1,1E-130,12345678901234567890.123456789012345678]'
    assert kept in answer.text
    assert kept in api("GET", f"/users/{answer.body['userId']}").text
    assert api("POST", "/users", text=text.replace("[[", "[[[").replace("]]", "]]]")).status == 400


def test_a_body_has_a_size_and_a_type(api: ShopApi) -> None:
    large = json.dumps({**USER, "profile": {"text": "x" * 262_144}})
    assert "262144 bytes" in api("POST", "/users", text=large).fields["body"]
    umlauts = json.dumps({**USER, "profile": {"text": "ä" * 131_072}}, ensure_ascii=False)
    assert list(api("POST", "/users", text=umlauts).fields) == ["body"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        event = request("POST", "/users", json.dumps(USER))
        event["headers"]["content-type"] = kind
        assert list(api.send(event).fields) == ["content-type"]
    event = request("POST", "/users", "e30=")
    event["headers"] = {"Content-Type": "application/json; charset=utf-8"}
    event["isBase64Encoded"] = True
    assert list(api.send(event).fields) == ["email", "name"]
    for body in ("%%%", base64.b64encode(b"\xff\xfe").decode()):
        assert list(api.send({**event, "body": body}).fields) == ["body"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/users", "GET, POST"),
        ("DELETE", "/users/batch-get/views", "POST"),
        ("HEAD", "/users/ada", "DELETE, GET, PATCH"),
        ("OPTIONS", "/orders", "GET"),
        ("POST", "/orders/o", "GET"),
        ("GET", "/sessions", "POST"),
        ("PUT", "/users/batch-get", "POST"),
    ],
)
def test_a_path_says_which_methods_it_has(api: ShopApi, method: str, path: str, allowed: str) -> None:
    answer = api(method, path, x=1)
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "METHOD_NOT_ALLOWED", allowed)
    assert answer.body["requestId"] == "request-1"


@pytest.mark.parametrize(
    "path", ["/", "/user", "/users/", "/users/a/b", "/docs", "/openapi.json", "/users/a/orders/b/c"]
)
def test_there_are_no_other_paths(api: ShopApi, path: str) -> None:
    answer = api("GET", path, x=1)
    assert (answer.status, answer.code, set(answer.body)) == (404, "NOT_FOUND", {"error", "code", "requestId"})


@pytest.mark.parametrize("user_id", ["a b", "a*b", "ä", "a\nb", "a#b", 'a"b', "a\\b", "%41", "x" * 129, "\x00"])
def test_an_id_has_the_letters_that_ids_have(api: ShopApi, user_id: str) -> None:
    assert list(api("GET", f"/users/{user_id}").fields) == ["userId"]


# --- what goes wrong behind the API ----------------------------------------------------------------------------------


@contextmanager
def failing(api: ShopApi, error: Callable[[], Exception]) -> Iterator[None]:
    """Let every call of DynamoDB fail."""

    def fail(**_: Any) -> None:
        raise error()

    events = api.dynamodb.meta.events
    events.register("before-send.dynamodb", fail)
    try:
        yield
    finally:
        events.unregister("before-send.dynamodb", fail)


def of_aws(code: str, status: int = 400) -> Callable[[], Exception]:
    secret = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{TABLE} USER#ada"
    answer: Any = {"Error": {"Code": code, "Message": secret}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return lambda: ClientError(answer, "GetItem")


@pytest.mark.parametrize(
    "error",
    [
        of_aws("ProvisionedThroughputExceededException"),
        of_aws("ThrottlingException"),
        of_aws("InternalServerError", 500),
        lambda: ReadTimeoutError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com"),
        lambda: ConnectTimeoutError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com"),
    ],
)
def test_a_table_that_does_not_answer_is_tried_three_times_and_told_so(api: ShopApi, error: Any) -> None:
    with failing(api, error):
        answer = api("GET", "/users/ada")
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
    assert len(api.calls) == 3


def test_a_write_whose_answer_is_lost_asks_nobody_to_try_again(api: ShopApi) -> None:
    with failing(api, lambda: ReadTimeoutError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com")):
        answer = api("POST", "/leads", {"name": "x", "email": "x@example.com", "subject": "s", "message": "m"})
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "may be done" in answer.body["error"]
    assert "Retry-After" not in answer.headers
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        of_aws("AccessDeniedException"),
        of_aws("ResourceNotFoundException"),
        of_aws("ValidationException"),
        of_aws("UnrecognizedClientException"),
    ],
)
def test_a_fault_of_ours_says_nothing_to_the_caller_and_its_place_to_the_log(api: ShopApi, error: Any) -> None:
    with failing(api, error):
        answer = api("GET", "/users/ada")
    assert answer.status == 500
    assert answer.body == {"error": "Internal server error", "code": "INTERNAL_ERROR", "requestId": "request-1"}
    line = api.log[-1]
    assert line["failure"]
    assert not any(word in str(line) for word in ("secret", "USER#", "arn:", TABLE))


def test_a_mistake_in_the_code_is_a_fault_of_ours(api: ShopApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api("POST", "/users", {"userId": "broken", **USER})
    monkeypatch.setattr("shop.api.routes.users.shown", lambda user: user["secret"])
    answer = api("GET", "/users/broken")
    assert (answer.status, answer.body["error"]) == (500, "Internal server error")
    assert api.log[-1]["failure"] == "KeyError"
    assert "test_refusals.py" in str(api.log[-1]["place"])


def test_no_call_begins_when_there_is_no_time_left(api: ShopApi) -> None:
    answer = api.send(request("GET", "/users/ada"), timeout=2.9)
    assert (answer.status, api.calls) == (503, [])


def test_a_line_of_the_log_tells_the_request_and_nobody_s_data(api: ShopApi) -> None:
    api("POST", "/users", {"userId": "logged", "email": "logged@example.com", "name": "Logged", "profile": {"x": "y"}})
    line = api.log[-1]
    assert set(line) == {"requestId", "route", "status", "milliseconds", "capacityUnits"}
    assert (line["requestId"], line["route"], line["status"]) == ("request-1", "POST /users", 201)
    api("GET", "/users/logged")
    assert api.log[-1]["capacityUnits"] > 0
    for method, path, route in (
        ("GET", "/users/logged", "GET /users/{userId}"),
        ("GET", "/users/logged/orders/o-1", "GET /users/{userId}/orders/{orderId}"),
        ("PUT", "/sessions/secret-session", "PUT /sessions/{sessionId}"),
        ("GET", "/secret/path", "none"),
    ):
        api(method, path)
        assert api.log[-1]["route"] == route
