"""One HTTP/1.1 connection: answers are read as `http.client` reads them, and what is none is refused."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPResponse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.exchange import Connection, HttpAnswer, MalformedAnswerError

NAMES = st.sampled_from(["Date", "x-amzn-RequestId", "Content-Type", "X-Twice", "x-twice", "Server"])
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
STATUSES = st.sampled_from([200, 400, 413, 500, 503])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A whole answer, its end told in one of the three ways there are."""
    body = draw(st.binary(max_size=300))
    lines = [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=6))]
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunks":
        lines.append("Transfer-Encoding: chunked")
        parts = [body[start : start + 100] for start in range(0, len(body), 100)]
        body = b"".join(b"%X;x=y\r\n%s\r\n" % (len(part), part) for part in [*parts, b""][: len(parts)])
        body += b"0\r\nX-Trailer: 1\r\n\r\n"
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    version = "1.1" if framing == "chunks" else draw(st.sampled_from(["1.1", "1.0"]))
    if version == "1.1":
        lines += draw(st.sampled_from([[], ["Connection: close"], ["Connection: keep-alive"]]))
    head = "\r\n".join([f"HTTP/{version} {draw(STATUSES)} Some Reason", *lines])
    return interim + head.encode() + b"\r\n\r\n" + body


def exchanged(pieces: Sequence[bytes], seconds: float = 5) -> HttpAnswer:
    """The answer that arrives in these pieces, after which the connection ends."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with theirs, suppress(BrokenPipeError):  # what is malformed is not read to its end
            theirs.recv(100)
            for piece in pieces:
                theirs.sendall(piece)

    thread = threading.Thread(target=answer)
    thread.start()
    connection = Connection(ours)
    try:
        return connection.exchange(b"request", seconds)
    finally:
        connection.close()
        thread.join()


def read_by_the_standard_library(answer: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        response = HTTPResponse(ours, method="POST")
        response.begin()
        with response:
            headers = {name.lower(): ", ".join(response.headers.get_all(name) or ()) for name in response.headers}
            return response.status, headers, response.read(), not response.will_close


@given(answers(), st.lists(st.integers(0, 800), max_size=4))
def test_an_answer_is_read_as_the_standard_library_reads_it(answer: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    pieces = [answer[start:end] for start, end in itertools.pairwise(places) if start < end]
    found = exchanged(pieces)
    assert (found.status, dict(found.headers), found.body, found.reusable) == read_by_the_standard_library(answer)


def test_an_answer_without_a_body_is_not_waited_for() -> None:
    assert exchanged([b"HTTP/1.1 204 No Content\r\n\r\n"]).reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded: 2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 101 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        exchanged([answer])


def test_a_line_without_end_is_given_up() -> None:
    with pytest.raises(MalformedAnswerError, match="at most 65536 bytes"):
        exchanged([b"x" * 70_000])


def test_two_answers_over_one_connection() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    with theirs:
        for body in (b"first", b"second"):
            theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            assert connection.exchange(b"request", 5).body == body
    connection.close()


def test_a_connection_on_which_more_has_come_than_the_answer_is_not_used_again() -> None:
    assert not exchanged([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n"]).reusable


def test_an_early_answer_to_a_request_that_is_not_all_sent_is_read() -> None:
    ours, theirs = socket.socketpair()

    def refuse() -> None:
        with theirs:
            theirs.recv(100)
            theirs.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=refuse)
    thread.start()
    connection = Connection(ours)
    answer = connection.exchange(b"x" * 10_000_000, 5)
    thread.join()
    connection.close()
    assert (answer.status, answer.reusable) == (413, False)
