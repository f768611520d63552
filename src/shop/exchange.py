"""One connection of HTTP/1.1 (RFC 9112), as far as AWS's APIs need it: a request with its length, an answer read whole.

`http.client` and urllib3 read an answer's head with the parser for e-mail and look at each header of a request several
times; for the small answers of DynamoDB and SNS that takes most of the CPU of an exchange.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

_MAX_LINE = 65_536
_MAX_HEADERS = 100
_AT_A_TIME = 65_536
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class MalformedAnswerError(Exception):
    """What came is no answer, or not all of one: nobody knows what became of the request."""


class HttpAnswer(NamedTuple):
    """An answer read whole."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes
    reusable: bool
    """Whether the connection can carry another exchange."""


class Connection:
    """A connection; one exchange at a time."""

    __slots__ = ("_received", "socket")

    def __init__(self, connected: socket.socket) -> None:
        """Take a connected socket, with TLS where it is wanted."""
        self.socket = connected
        self._received = b""

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def exchange(self, request: bytes, seconds: float) -> HttpAnswer:
        """Send a request and read its answer; each part of it has to come within `seconds` of the one before.

        Raises `OSError` (`TimeoutError`) and `MalformedAnswerError`; the connection is of no use any more then.
        """
        if self.socket.gettimeout() != seconds:
            self.socket.settimeout(seconds)
        sent = False
        with suppress(BrokenPipeError, ConnectionResetError):  # who refuses a request halfway has said why
            self.socket.sendall(request)
            sent = True
        persistent, status, headers = self._head()
        while status < HTTPStatus.OK:  # interim answers
            persistent, status, headers = self._head()
        body = self._body(status, headers)
        if body is None:
            return HttpAnswer(status, headers, self._rest(), reusable=False)
        # What has come beyond the answer would be taken for the next one.
        return HttpAnswer(status, headers, body, reusable=sent and persistent and not self._received)

    def _head(self) -> tuple[bool, int, dict[str, str]]:
        """Read the status line and the headers; say first whether the connection stays open."""
        version, _, rest = self._line().partition(" ")
        if not version.startswith("HTTP/1."):
            raise MalformedAnswerError("wanted an answer of HTTP/1.1, got something else")
        headers = self._headers()
        persistent = version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        return persistent, _number(rest[:3], 10), headers

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_MAX_HEADERS):
            field = self._line()
            if not field:
                return headers
            name, colon, value = field.partition(":")
            if not colon or name != name.strip():
                raise MalformedAnswerError("wanted headers, each with a name, got something else")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        raise MalformedAnswerError(f"wanted less than {_MAX_HEADERS} headers, got more")

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes | None:
        """Read the body; None when only the end of the connection tells where it ends."""
        if status in _BODILESS:
            return b""
        if "transfer-encoding" in headers:
            return self._chunks(headers["transfer-encoding"])
        return self._read(_number(headers["content-length"], 10)) if "content-length" in headers else None

    def _chunks(self, coding: str) -> bytes:
        if coding.lower() != "chunked":
            raise MalformedAnswerError("wanted an answer in chunks, got another transfer coding")
        parts = []
        while length := _number(self._line().partition(";")[0], 16):
            parts.append(self._read(length))
            if self._line():
                raise MalformedAnswerError("wanted the end of a chunk, got more")
        self._headers()  # trailers
        return b"".join(parts)

    def _line(self) -> str:
        while (end := self._received.find(b"\n")) < 0 and len(self._received) <= _MAX_LINE:
            self._received += self._some()
        if not 0 <= end <= _MAX_LINE:
            raise MalformedAnswerError(f"wanted a line of at most {_MAX_LINE} bytes, got more")
        line, self._received = self._received[:end], self._received[end + 1 :]
        return line.decode("latin-1").removesuffix("\r")

    def _read(self, length: int) -> bytes:
        parts, missing = [self._received], length - len(self._received)
        while missing > 0:
            parts.append(self._some())
            missing -= len(parts[-1])
        whole = b"".join(parts)
        self._received = whole[length:]
        return whole[:length]

    def _some(self) -> bytes:
        received = self.socket.recv(_AT_A_TIME)
        if not received:
            raise MalformedAnswerError("wanted an answer to its end, got the end of the connection")
        return received

    def _rest(self) -> bytes:
        parts = [self._received]
        while received := self.socket.recv(_AT_A_TIME):
            parts.append(received)
        return b"".join(parts)


def _number(text: str, base: int) -> int:
    digits = text.strip()
    if not digits.isalnum() or not digits.isascii():
        raise MalformedAnswerError("wanted a number, got something else")
    try:
        return int(digits, base)
    except ValueError as error:
        raise MalformedAnswerError("wanted a number, got something else") from error
