"""Requests carried here instead of by botocore by way of urllib3, which takes a quarter of the CPU of a batch.

botocore still finds the endpoint, signs, retries, reads the answer and says what went wrong. Its event `before-send`
lets somebody else carry a request that is ready to be sent (as botocore's own stubs of AWS do): an `AWSPreparedRequest`
goes in, an `AWSResponse` or one of botocore's errors of connections comes out.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.utils import get_environ_proxies
from urllib3.util import wait_for_read

from shop.exchange import Connection, MalformedAnswerError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient

C = TypeVar("C", "DynamoDBClient", "SNSClient")

_HOOK = "tablestream-transport"
_PORTS = {"http": 80, "https": 443}


class Transport:
    """Connections kept open, of all clients together: for a host at most as many as there were calls at once."""

    def __init__(self, ca_bundle: str | None = None) -> None:
        """Take the path of certificates to trust in place of botocore's."""
        self._ca_bundle = ca_bundle
        self._tls: ssl.SSLContext | None = None
        self._lock = Lock()
        self._idle: dict[str, list[Connection]] = {}

    def carry(self, client: C) -> C:
        """Carry the requests of a client from now on, and return it; one that goes through a proxy is left as it is.

        Nobody else can then answer in place of AWS, as moto does within a process: leave its clients as they are.
        Raises `OSError` when the certificates cannot be read.
        """
        meta: Any = client.meta  # its type knows no timeouts, and of no handler whose answer is used
        config, events = meta.config, meta.events
        if not (config.proxies or get_environ_proxies(meta.endpoint_url)):
            if meta.endpoint_url.startswith("https:"):
                self._context()  # now, when Lambda gives the whole of a core
            send = partial(self._send, config.connect_timeout, config.read_timeout)
            events.register(f"before-send.{meta.service_model.service_id.hyphenize()}", send, unique_id=_HOOK)
        return client

    def close(self) -> None:
        """Close the connections."""
        for idle in self._idle.values():
            _close_all(idle)

    def _send(
        self, connect_seconds: float, read_seconds: float, request: AWSPreparedRequest, **_: object
    ) -> AWSResponse:
        url = urlsplit(request.url)
        message = written(request, url)
        idle = self._idle.setdefault(f"{url.scheme}://{url.netloc}", [])
        connection = still_open(idle) or self._connect(request.url, url, connect_seconds)
        try:
            answer = connection.exchange(message, read_seconds)
        except (OSError, MalformedAnswerError) as error:
            connection.close()
            _close_all(idle)
            if isinstance(error, TimeoutError):
                raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
            raise ConnectionClosedError(endpoint_url=request.url, error=error, request=request) from error
        if answer.reusable:
            idle.append(connection)
        else:
            connection.close()
        headers: Any = answer.headers  # made into some without regard to case there
        return AWSResponse(request.url, answer.status, headers, _Body(answer.body))

    def _connect(self, endpoint: str, url: SplitResult, seconds: float) -> Connection:
        try:
            connected = socket.create_connection((url.hostname or "", url.port or _PORTS[url.scheme]), seconds)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=endpoint, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=endpoint, error=error) from error
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(self._secured(connected, endpoint, url.hostname) if url.scheme == "https" else connected)

    def _secured(self, connected: socket.socket, endpoint: str, host: str | None) -> ssl.SSLSocket:
        try:
            return self._context().wrap_socket(connected, server_hostname=host)
        except TimeoutError as error:
            connected.close()
            raise ReadTimeoutError(endpoint_url=endpoint, error=error) from error
        except OSError as error:
            connected.close()
            raise SSLError(endpoint_url=endpoint, error=error) from error

    def _context(self) -> ssl.SSLContext:
        """Return what botocore's connections trust, read once (some 14 ms): urllib3 reads it for each connection."""
        with self._lock:
            if self._tls is None:
                made = create_urllib3_context()
                made.check_hostname = True
                made.load_verify_locations(self._ca_bundle or get_cert_path(verify=True))
                self._tls = made
        return self._tls


class _Body:
    """What `AWSResponse` reads a body from."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> tuple[bytes]:
        return (self._body,)


def _close_all(idle: list[Connection]) -> None:
    """Close idle connections: where one has died unseen the others have too, and each try would meet the next one."""
    with suppress(IndexError):
        while True:
            idle.pop().close()


def still_open(idle: list[Connection]) -> Connection | None:
    """Take a connection out; the ones that AWS has closed, as while the environment was frozen, can be read from."""
    with suppress(IndexError):  # none left: to look first is no use, another thread may take the last one in between
        while True:
            connection = idle.pop()
            if not wait_for_read(connection.socket, 0):
                return connection
            connection.close()
    return None


def written(request: AWSPreparedRequest, url: SplitResult) -> bytes:
    """Return the request as it is sent: with the host as botocore has signed it, and without compressed answers."""
    host = url.netloc.rpartition("@")[2].removesuffix(f":{_PORTS[url.scheme]}").lower()
    _, _, path, question, _ = url  # by place: an attribute `query` would be read as a call of AWS, which is tested
    target = (path or "/") + (f"?{question}" if question else "")
    headers: dict[str, Any] = {"Host": host, "Accept-Encoding": "identity", **request.headers}
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value.decode() if isinstance(value, bytes) else value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    if not head.count("\r") == head.count("\n") == len(lines) - 1:
        raise ValueError("wanted headers of one line each, got a line break in one")
    body: Any = request.body or b""  # of these services never a file
    return b"".join((head.encode(), b"\r\n\r\n", body.encode() if isinstance(body, str) else body))
