"""A WSGI application served by a thread of this process, and which requests it answers.

A browser runs the code of every page, and that code reaches every port of this machine. So a server here refuses what
a page from elsewhere asks for: known by its Host if the page's name was pointed at this machine (DNS rebinding), else
by its Origin, or by Sec-Fetch-Site where a browser sends no Origin (an image's address). SDKs send neither of the two.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from werkzeug.serving import LISTEN_QUEUE, BaseWSGIServer, WSGIRequestHandler, make_server

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
Refusal = Callable[[Environ], str | None]


def probe(host: str, port: int) -> None:
    """Raise OSError where this machine cannot be listened to at `host`:`port`: werkzeug would end the process."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((host, port))


def _listening(host: str, port: int) -> socket.socket:
    """Listen there: werkzeug, which takes a socket that does, would end the process where that is not possible."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(LISTEN_QUEUE)
    except OSError:
        made.close()
        raise
    return made


class Serving:
    """Serves `app` on `host`:`port` (0: a free port) from `start` to `close`, or while a with block runs.

    The port is taken at once. Raises OSError where it cannot be.
    `refusal` says why a request is answered with 403, or None for one that is answered by the application.
    """

    def __init__(
        self,
        app: App,
        name: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        threaded: bool = True,
        handler: type[WSGIRequestHandler] | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        """Take the application and the name of the thread; `threaded` gives each request a thread of its own."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        guarded = _guarded(app, refusal or from_elsewhere)
        with _listening(host, port) as taken:
            self.port: int = taken.getsockname()[1]
            self._server: BaseWSGIServer = make_server(
                host, self.port, guarded, threaded=threaded, request_handler=handler, fd=taken.fileno()
            )
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    @property
    def endpoint(self) -> str:
        """The URL for programs on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def from_elsewhere(environ: Environ) -> str | None:
    """Refuse what a page that is not of this machine asks for; containers and other machines are served."""
    host, origin = _host(environ), environ.get("HTTP_ORIGIN")
    if not _is_ours(_name(f"//{host}")):
        return f"the Host is {host!r}, wanted an address, localhost or a name without a dot"
    if origin is not None and origin != f"http://{host}" and not _is_loopback(_name(origin)):
        return f"the Origin is {origin!r}, wanted a page of this machine"
    return _cross_site(environ)


def from_another_origin(environ: Environ) -> str | None:
    """Refuse all but programs of this machine and this server's own pages."""
    host, origin = _host(environ), environ.get("HTTP_ORIGIN")
    own = [f"{name}:{environ['SERVER_PORT']}" for name in ("127.0.0.1", "localhost")]
    if host not in own:
        return f"the Host is {host!r}, wanted {' or '.join(own)}"
    if origin is not None and origin != f"http://{host}":
        return f"the Origin is {origin!r}, wanted http://{host} or none"
    return _cross_site(environ)


def _guarded(app: App, refusal: Refusal) -> App:
    def guarded(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if (refused := refusal(environ)) is None:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"refused: {refused}\n".encode()]

    return guarded


def _host(environ: Environ) -> str:
    return str(environ.get("HTTP_HOST", ""))


def _cross_site(environ: Environ) -> str | None:
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE") != "cross-site":
        return None
    return "a page of another site asks for this"


def _is_ours(name: str) -> bool:
    """Whether nobody on the internet can give this name an address: then it is no page's that was pointed here.

    Addresses are no names; containers come to host.docker.internal or to the name of another container, without a dot.
    """
    return _is_loopback(name) or _is_address(name) or name.endswith(".internal") or ("." not in name and name != "")


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(url: str) -> str:
    """The host's name in a URL, in lower case; empty for what is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
