"""A process of the HTTP API as its client sees it: it takes a request, answers or not, and can be killed."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from collections.abc import Mapping
from typing import Any

_LONGEST_SECONDS = 60.0
_CHUNK = 65_536


class ApiProcess:
    """One process, which serves one client."""

    def __init__(self, path: str) -> None:
        """Have the server at a socket begin a process."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_LONGEST_SECONDS)
        self._socket.connect(path)
        self._unread = b""
        self._pid = int(self._line())

    def send(self, event: Mapping[str, Any]) -> None:
        """Hand over a request."""
        self._socket.sendall(json.dumps(event).encode() + b"\n")

    def answers_within(self, seconds: float) -> bool:
        """Wait for so long; return whether an answer has begun to come."""
        readable, _, _ = select.select([self._socket], [], [], seconds)
        return bool(readable)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer."""
        told = json.loads(self._line())
        return int(told["statusCode"]), json.loads(told["body"])

    def kill(self) -> None:
        """End the process, wherever it is, with SIGKILL."""
        os.kill(self._pid, signal.SIGKILL)
        self._socket.close()

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            read = self._socket.recv(_CHUNK)
            if not read:
                raise ConnectionError("the process has ended by itself")
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line
