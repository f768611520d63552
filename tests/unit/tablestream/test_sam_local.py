"""A function in `sam local` asks the stack on this machine for its variables, and takes nothing else for an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tablestream import dry_run
from tablestream.dry_run import stack_variables


@dataclass
class Stack:
    """An HTTP server that answers as it is told."""

    address: str
    answer: tuple[int, bytes] = (200, b'{"TABLE_NAME": "orders-1"}')
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def stack() -> Iterator[Stack]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            status, body = made.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing to the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made = Stack(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def environment(address: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": address, "AWS_LAMBDA_FUNCTION_NAME": "Worker"}


def test_the_stack_tells_the_variables_of_the_function(stack: Stack) -> None:
    assert stack_variables(environment(stack.address)) == {"TABLE_NAME": "orders-1"}
    assert stack.asked == ["/_tablestream/variables/Worker"]


def test_a_name_cannot_lead_to_another_path(stack: Stack) -> None:
    stack_variables({"AWS_ENDPOINT_URL": stack.address, "AWS_LAMBDA_FUNCTION_NAME": "../a b?c"})

    assert stack.asked == ["/_tablestream/variables/..%2Fa%20b%3Fc"]


@pytest.mark.parametrize(
    "answer",
    [
        (404, b'{"TABLE_NAME": "orders-1"}'),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"n": 1}'),
        (200, b""),
        (200, b"\xff"),
    ],
    ids=["another status", "no JSON", "a list", "a number", "nothing", "no text"],
)
def test_another_program_at_that_address_is_no_stack(answer: tuple[int, bytes], stack: Stack) -> None:
    stack.answer = answer

    assert stack_variables(environment(stack.address)) is None


@pytest.mark.parametrize(
    "address",
    ["", "http://", "https://127.0.0.1:1", "http://127.0.0.1:none", "http://[", "127.0.0.1:4567", "file:///etc"],
)
def test_an_address_that_is_none_of_a_local_stack_is_not_asked(address: str) -> None:
    assert stack_variables(environment(address)) is None


def test_nothing_is_told_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen

        assert stack_variables(environment(f"http://127.0.0.1:{taken.getsockname()[1]}")) is None


def test_a_firewall_that_swallows_the_question_delays_the_start_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "LONGEST_WAIT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert stack_variables(environment(f"http://127.0.0.1:{silent.getsockname()[1]}")) is None
