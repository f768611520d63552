"""A way in for containers on this machine, as `sam local` starts them: an address, and the variables of a function.

The SAM CLI leaves references of the template unresolved, so a function in its container knows no name of the stack. It
asks here for its environment variables (`tablestream.sam_local`), before it calls anything.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from tablestream.local.clients import REGION
from tablestream.local.serving import App, Environ, StartResponse

HOST = "host.docker.internal"
"""The name by which containers reach this machine on every kind of Docker; on Linux Docker must be told (add_host)."""
PREFIX = "/_tablestream/variables/"
"""The path of a function's variables, with the name that its container has in AWS_LAMBDA_FUNCTION_NAME behind it."""

_BRIDGE = b"docker0"
_SIOCGIFADDR = 0x8915  # linux/sockios.h: the address of an interface
_IFREQ_BYTES = 40
_ADDRESS = slice(20, 24)  # in the struct ifreq that comes back: behind the name, the family and the port


def bridge_address() -> str | None:
    """The address of this machine on Docker's bridge, where it can be listened to for containers and nobody else.

    None where there is none: no Docker, or one that runs in a virtual machine and brings containers to 127.0.0.1.
    """
    if sys.platform != "linux":
        return None
    import fcntl  # noqa: PLC0415 -- not on every system

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack(f"{_IFREQ_BYTES}s", _BRIDGE))
        except OSError:
            return None
    return socket.inet_ntoa(answer[_ADDRESS])


class Reception:
    """WSGI middleware that tells functions their variables. Mutable: what it tells is known when the stack is there.

    Requests come from two addresses, and the application takes one at a time.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = Lock()
        self._variables: Mapping[str, Mapping[str, str]] = {}
        self._prepare: Callable[[], None] | None = None

    def expect(self, variables: Mapping[str, Mapping[str, str]], prepare: Callable[[], None] | None = None) -> None:
        """Tell these variables, by function; do `prepare` before the first is told."""
        with self._lock:
            self._variables, self._prepare = variables, prepare

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        with self._lock:
            path: str = environ["PATH_INFO"]
            if path.startswith(PREFIX):
                return self._tell(path.removeprefix(PREFIX), start_response)
            answer = self._app(environ, start_response)
            try:
                return list(answer)
            finally:
                getattr(answer, "close", lambda: None)()

    def _tell(self, function: str, start_response: StartResponse) -> Iterable[bytes]:
        if (variables := self._variables.get(function)) is None:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            known = ", ".join(sorted(self._variables)) or "none"
            return [json.dumps({"message": f"no function {function}: wanted one of {known}"}).encode()]
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            prepare()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(dict(variables)).encode()]


class Unseen:
    """Writes items of the embedded AWS that no stream tells of: what is to be there as if it had always been.

    Takes the calls of a boto3 client that `local.orders.restore` makes; to be used where no request is being answered.
    """

    def put_item(self, **request: Any) -> None:
        """Put an item. Raises what moto raises for an item that no table could hold."""
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(request["TableName"])
        # As it would have come by HTTP: binary values as text.
        item = json.loads(json.dumps(request["Item"], default=lambda binary: base64.b64encode(binary).decode("ascii")))
        stream, table.stream_shard = table.stream_shard, None
        try:
            table.put_item(item)
        finally:
            table.stream_shard = stream

    def delete_item(self, **_request: Any) -> None:
        """Leave away what was never put."""
