"""Requests carried here instead of by botocore by way of urllib3, which takes a quarter of the CPU of a batch.

botocore still finds the endpoint, signs, retries, reads the answer and says what went wrong. Its event `before-send`
lets somebody else carry a request that is ready to be sent (as botocore's own stubs of AWS do): an `AWSPreparedRequest`
goes in, an `AWSResponse` or one of botocore's errors of connections comes out.
"""

from __future__ import annotations

import socket
import ssl
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urlsplit, urlunsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from urllib3.util import wait_for_read

from shop.exchange import Connection, MalformedAnswerError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient

C = TypeVar("C", "DynamoDBClient", "SNSClient")

_PORTS = {"http": 80, "https": 443}


class Transport:
    """Connections kept open, of all clients together: there are never more than calls at the same time."""

    def __init__(self, ca_bundle: str | None = None) -> None:
        """Take the path of certificates to trust in place of botocore's."""
        self._ca_bundle = ca_bundle
        self._idle: dict[str, list[Connection]] = {}

    def carry(self, client: C) -> C:
        """Carry the requests of a client from now on, and return it; one that goes through a proxy is left as it is."""
        meta: Any = client.meta  # its type knows no timeouts, and of no handler whose answer is used
        config, events = meta.config, meta.events
        if not (config.proxies or get_environ_proxies(meta.endpoint_url)):
            send = partial(self._send, config.connect_timeout, config.read_timeout)
            events.register(f"before-send.{meta.service_model.service_id.hyphenize()}", send)
        return client

    def close(self) -> None:
        """Close the connections."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()

    def _send(
        self, connect_seconds: float, read_seconds: float, request: AWSPreparedRequest, **_: object
    ) -> AWSResponse:
        url = urlsplit(request.url)
        message = written(request, url)
        idle = self._idle.setdefault(f"{url.scheme}://{url.netloc}", [])
        connection = _still_open(idle) or self._connect(request.url, url, connect_seconds)
        try:
            answer = connection.exchange(message, read_seconds)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (OSError, MalformedAnswerError) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=request.url, error=error, request=request) from error
        if answer.reusable:
            idle.append(connection)
        else:
            connection.close()
        # By lower-case names all is found that matters: for `Date`, botocore asks only to date a retry of its own.
        headers: Any = answer.headers
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
            return self._tls.wrap_socket(connected, server_hostname=host)
        except TimeoutError as error:
            connected.close()
            raise ReadTimeoutError(endpoint_url=endpoint, error=error) from error
        except OSError as error:
            connected.close()
            raise SSLError(endpoint_url=endpoint, error=error) from error

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The certificates are read once (some 14 ms): urllib3 reads them again for each connection."""
        return ssl.create_default_context(cafile=self._ca_bundle or get_cert_path(verify=True))


class _Body:
    """What `AWSResponse` reads a body from."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> tuple[bytes]:
        return (self._body,)


def _still_open(idle: list[Connection]) -> Connection | None:
    """Take a connection out; the ones that AWS has closed, as while the environment was frozen, can be read from."""
    while idle:
        connection = idle.pop()
        if not wait_for_read(connection.socket, 0):
            return connection
        connection.close()
    return None


def written(request: AWSPreparedRequest, url: SplitResult) -> bytes:
    """Return the request as it is sent: with the host as botocore has signed it, and without compressed answers."""
    host = url.netloc.rpartition("@")[2].removesuffix(f":{_PORTS[url.scheme]}").lower()
    target = urlunsplit(("", "", url.path or "/", url[3], ""))
    headers: dict[str, Any] = {"Host": host, "Accept-Encoding": "identity", **request.headers}
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value.decode() if isinstance(value, bytes) else value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    if head.count("\n") >= len(lines):
        raise ValueError("wanted headers of one line each, got a line break in one")
    body: Any = request.body or b""  # of these services never a file
    return b"".join((head.encode(), b"\r\n\r\n", body.encode() if isinstance(body, str) else body))
