"""`python -m tests.kill_api.server SOCKET`: processes of the HTTP API, as many as are asked for, quickly.

Everything is imported once. Each connection to the socket gets a process of its own, forked from there before anything
was connected to DynamoDB: an event a line in, an answer a line out, until somebody kills it. Its first line is its id.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.simulation.slips import VARIABLE

TIMEOUT_SECONDS = 15.0


class _Context:
    """Lambda's context object, as far as the API reads it."""

    aws_request_id = "killed-now-and-then"

    def __init__(self) -> None:
        self._ends = time.monotonic() + TIMEOUT_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


def main(path: str) -> None:
    """Serve until this process is ended."""
    if os.environ.get(VARIABLE):
        importlib.import_module("tests.simulation.planted")
    handler = importlib.import_module("shop.api.app").handler
    if threading.active_count() > 1:
        raise RuntimeError("wanted no threads before the first fork, got some")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdout = io.StringIO()  # the API's log lines are read by nobody
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer_all(connection, handler)
                os._exit(0)
            connection.close()


def _answer_all(connection: socket.socket, handler: Callable[[Any, Any], Any]) -> None:
    with connection, connection.makefile("rw") as lines:
        lines.write(f"{os.getpid()}\n")
        lines.flush()
        for line in lines:
            lines.write(json.dumps(handler(json.loads(line), _Context())) + "\n")
            lines.flush()


if __name__ == "__main__":
    main(sys.argv[1])
