"""The route that takes a request, and what CORS adds to its answer, as API Gateway has it."""

from __future__ import annotations

import pytest

from tablestream.local.gateway.routes import Cors, HttpApi, HttpRoute

KEYS = (
    "$default",
    "ANY /{proxy+}",
    "GET /pets/{proxy+}",
    "GET /pets/dog/{id}",
    "GET /pets/dog/1",
    "ANY /users/{id}",
    "GET /users/{id}",
    "GET /users/{id}/orders/{order}",
    "GET /",
)


def api(*keys: str, stage: str = "$default") -> HttpApi:
    split = [("ANY", key) if key == "$default" else tuple(key.split(" ")) for key in keys]
    return HttpApi("Api", [HttpRoute(method, path, "Function") for method, path in split], stage)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/users/ada", "GET /users/{id}", {"id": "ada"}),
        ("PUT", "/users/ada", "ANY /users/{id}", {"id": "ada"}),
        ("GET", "/users/ada/orders/7", "GET /users/{id}/orders/{order}", {"id": "ada", "order": "7"}),
        ("GET", "/", "GET /", {}),
        ("POST", "/", "$default", {}),
    ],
)
def test_the_most_specific_route_takes_a_request(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    chosen = api(*KEYS).choose(method, path)
    assert chosen is not None
    assert (chosen.route.key, chosen.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/users/ada"), ("GET", "/users"), ("GET", "/users/"), ("GET", "/users/ada/x"), ("GET", "/files/")],
)
def test_what_no_route_takes_is_nobodys(method: str, path: str) -> None:
    assert api("GET /users/{id}", "GET /files/{proxy+}").choose(method, path) is None


def test_a_named_stage_is_the_first_segment_of_every_path() -> None:
    named = api("GET /users/{id}", "GET /", stage="prod")
    assert named.choose("GET", "/prod/users/ada") is not None
    assert named.choose("GET", "/prod") is not None
    assert named.choose("GET", "/users/ada") is None
    assert named.choose("GET", "/production/users/ada") is None


@pytest.mark.parametrize(
    ("origins", "origin", "answered"),
    [
        (["https://a.example"], "https://a.example", "https://a.example"),
        (["https://a.example"], "https://b.example", None),
        (["*"], "https://b.example", "*"),
        (["https://*"], "https://b.example", "https://b.example"),
        (["https://*"], "http://b.example", None),
    ],
)
def test_an_origin_is_told_whether_it_may_read(origins: list[str], origin: str, answered: str | None) -> None:
    assert Cors(origins=origins).headers_for(origin).get("Access-Control-Allow-Origin") == answered


def test_a_preflight_request_is_told_all_that_is_allowed() -> None:
    cors = Cors(["https://a.example"], ["GET", "PUT"], ["content-type"], ["etag"], max_age=60, credentials=True)
    assert cors.preflight("https://a.example") == {
        "Access-Control-Allow-Origin": "https://a.example",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "etag",
        "Access-Control-Allow-Methods": "GET,PUT",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": "60",
    }
    assert cors.preflight("https://b.example") == {}
