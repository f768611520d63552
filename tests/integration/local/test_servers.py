"""The servers of a running `up`: whose requests they answer, and what becomes of a malformed command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tablestream.local.cli.control import control_server, exercises
from tablestream.local.cloud.faults import Faults
from tablestream.local.cloud.server import Server, lambda_server
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.runtime.runtime import Runtime

if TYPE_CHECKING:
    from tablestream.local.application import Running

JSON = {"Content-Type": "application/json"}


class Application:
    """As much of a running application as commands ask of it."""

    def __init__(self) -> None:
        self.runtimes: dict[str, Any] = {}
        self.triggers: dict[str, Any] = {"Stream": self}
        self.cloud = SimpleNamespace(mappings=())
        self.enabled = True

    def enable(self, *, wanted: bool) -> None:
        self.enabled = wanted


class Caller:
    """Sends requests as a browser or an SDK does."""

    def __init__(self, endpoint: str) -> None:
        self.address = urlsplit(endpoint).netloc
        self.port = self.address.partition(":")[2]

    def ask(
        self, path: str, body: str = "", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, Mapping[str, str], str]:
        connection = HTTPConnection(self.address, timeout=20)
        connection.request(method, path, body, {"Host": self.address} | dict(headers or {}))
        answer = connection.getresponse()
        try:
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def faults() -> Faults:
    return Faults(lambda _environ, _start: [])


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def control(faults: Faults, application: Application) -> Iterator[Caller]:
    running: Running = application  # type: ignore[assignment]  # as much of it as the commands use
    with control_server(exercises(faults, running, lambda _told: None)) as control:
        yield Caller(control.endpoint)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Caller]:
    server = Server()
    yield Caller(server.endpoint)
    server.close()


def test_the_control_server_answers_this_machines_programs(control: Caller) -> None:
    for host in (f"127.0.0.1:{control.port}", f"localhost:{control.port}"):
        status, _, body = control.ask("/faults", "{}", JSON | {"Host": host})
        assert (status, body) == (200, "[]")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "host.docker.internal:{port}"},
        {"Host": ""},
        {"Origin": "https://page.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_the_control_server_answers_no_foreign_page(control: Caller, faults: Faults, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=control.port) for name, value in headers.items()}
    status, answered, body = control.ask("/fault", '{"kind": "throttle"}', JSON | sent)
    assert status == 403
    assert body.startswith("refused: ")
    assert "access-control-allow-origin" not in answered
    assert faults.active() == []


@pytest.mark.parametrize(
    ("command", "body", "complaint"),
    [
        ("fault", "{", "the body is no JSON: wanted an object with calls, function, kind"),
        ("fault", "[1]", "got [1]: wanted an object with calls"),
        ("fault", "{}", "kind is null: wanted one of throttle, conflict, outage, function-throttle"),
        ("fault", '{"kind": ["throttle"]}', 'kind is ["throttle"]: wanted one of'),
        ("fault", '{"kind": "throttle", "call": 3}', 'got "call": wanted no arguments but calls'),
        ("fault", '{"kind": "throttle", "calls": "3"}', 'calls is "3": wanted a whole number above 0'),
        ("fault", '{"kind": "throttle", "calls": true}', "calls is true: wanted a whole number above 0"),
        ("fault", '{"kind": "throttle", "calls": 1.5}', "calls is 1.5: wanted a whole number above 0"),
        ("fault", '{"kind": "throttle", "calls": -1}', "calls is -1: wanted a whole number above 0"),
        ("fault", '{"kind": "throttle", "seconds": NaN}', "seconds is NaN: wanted a number of seconds above 0"),
        ("fault", '{"kind": "throttle", "mentioning": {}}', "mentioning is {}: wanted text"),
        ("fault", '{"kind": "outage", "service": "ec2"}', 'service is "ec2": wanted one of dynamodb, s3, sns, sqs'),
        ("fault", '{"kind": "conflict", "service": "s3"}', "conflict is a fault of dynamodb"),
        ("mapping", '{"enabled": "no"}', 'enabled is "no": wanted true or false'),
        ("mapping", '{"enabled": false, "name": "Other"}', "wanted the name of one event source mapping of Stream"),
        ("clear", '{"what": 1}', 'got "what": wanted no arguments but none'),
    ],
)
def test_a_malformed_command_is_told_what_was_wanted_and_does_nothing(
    control: Caller, faults: Faults, application: Application, command: str, body: str, complaint: str
) -> None:
    status, _, answered = control.ask(f"/{command}", body, JSON)
    assert status == 400
    assert json.loads(answered)["error"].startswith(complaint)
    assert faults.active() == []
    assert application.enabled


def test_another_path_method_or_type_is_no_command(control: Caller, faults: Faults) -> None:
    fault = '{"kind": "throttle"}'
    found = [
        control.ask("/nothing", "{}", JSON),
        control.ask("/fault", fault, JSON, "PUT"),
        control.ask("/fault", fault, {"Content-Type": "text/plain"}),
    ]
    assert [status for status, _, _ in found] == [404, 405, 415]
    told = [json.loads(body)["error"] for _, _, body in found]
    assert told[0] == 'no command "nothing": wanted one of clear, fault, faults, mapping'
    assert told[1:] == ["got PUT: wanted POST", 'got the Content-Type "text/plain": wanted application/json']
    assert faults.active() == []


LIST = ("/?Action=ListTopics", "", "GET")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "bucket.localhost", "172.17.0.1", "[::1]", "host.docker.internal", "emulator"],
)
def test_the_emulator_answers_programs_and_containers(emulator: Caller, host: str) -> None:
    path, body, method = LIST
    status, _, _ = emulator.ask(path, body, {"Host": f"{host}:{emulator.port}"}, method)
    assert status != 403


def test_the_emulator_answers_a_page_of_this_machine(emulator: Caller) -> None:
    path, body, method = LIST
    page = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}
    status, headers, _ = emulator.ask(path, body, page, method)
    assert (status, headers["access-control-allow-origin"]) == (200, "http://localhost:3000")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:{port}"},
        {"Host": "127.0.0.1.rebound.example:{port}"},
        {"Host": "rebound.internal.example:{port}"},
        {"Host": "rebound.local.:{port}"},
        {"Host": "[:{port}"},
        {"Host": ""},
        {"Origin": "https://page.example"},
        {"Origin": "http://localhost.page.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_the_emulator_answers_no_foreign_page(emulator: Caller, method: str, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=emulator.port) for name, value in headers.items()}
    status, answered, body = emulator.ask(LIST[0], LIST[1], sent, method)
    assert (status, body[:9]) == (403, "refused: ")
    assert "access-control-allow-origin" not in answered


@pytest.fixture
def lambda_api(tmp_path: Path) -> Iterator[Caller]:
    (tmp_path / "task.py").write_text("def handler(event, context): return event")
    runtime = Runtime(FunctionSpec("Task", "task", "arn:task", "task.handler", tmp_path, {}, timeout=20))
    with lambda_server({"task": runtime}) as api:
        yield Caller(api.endpoint)
    runtime.close()


def test_the_lambda_api_refuses_foreign_pages_and_bodies_that_are_no_json(lambda_api: Caller) -> None:
    path = "/2015-03-31/functions/task/invocations"
    assert lambda_api.ask(path, "[1]")[::2] == (200, "[1]")
    assert lambda_api.ask(path, "[1]", {"Host": "rebound.example"})[0] == 403
    status, headers, body = lambda_api.ask(path, "[1")
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestContentException")
    assert json.loads(body) == {"message": "Could not parse request body into json"}
