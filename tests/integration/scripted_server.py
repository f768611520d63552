"""A server of one's own that answers with the very bytes it is told, and keeps what it was sent."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

Script = Sequence[bytes | None]
"""What a connection answers to its requests in turn: None is nothing. After the last one it is closed."""


class ScriptedServer:
    """Plays a script for each connection; after the last script it accepts nothing more."""

    def __init__(self, scripts: Sequence[Script], tls: ssl.SSLContext | None, until: bytes) -> None:
        self.requests: list[bytes] = []
        self.accepted = 0
        self.closed = threading.Event()
        self._scripts = scripts
        self._tls = tls
        self._until = until
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        scheme, port = "https" if tls else "http", self._listener.getsockname()[1]
        self.url = f"{scheme}://localhost:{port}"

    def stop(self) -> None:
        self._ended.set()
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        for script in self._scripts:
            with suppress(OSError):
                connection, _ = self._listener.accept()
                self.accepted += 1
                with connection:
                    self._play(script, connection)
                self.closed.set()

    def _play(self, script: Script, accepted: socket.socket) -> None:
        connection = self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted
        with connection:
            for answer in script:
                self.requests.append(_request(connection, self._until))
                if answer is None:
                    self._ended.wait(5)
                else:
                    connection.sendall(answer)


def _request(connection: socket.socket, until: bytes) -> bytes:
    received = connection.recv(65_536)
    while until not in received:
        received += connection.recv(65_536) or until
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(
    *scripts: Script, tls: ssl.SSLContext | None = None, until: bytes = b"\r\n\r\n"
) -> Iterator[ScriptedServer]:
    """Serve while the block runs; the head of a request ends with `until`."""
    server = ScriptedServer(scripts, tls, until)
    try:
        yield server
    finally:
        server.stop()
