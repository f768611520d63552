"""A WSGI application served by a thread of this process."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from local.faults import App


class Serving:
    """Serves `app` on `host`:`port` (0: a free port) from `start` to `close`; the port is taken at once."""

    def __init__(
        self,
        app: App,
        name: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        threaded: bool = True,
        handler: type[WSGIRequestHandler] | None = None,
    ) -> None:
        """Take the application and the name of the thread; `threaded` gives each request a thread of its own."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server: BaseWSGIServer = make_server(host, port, app, threaded=threaded, request_handler=handler)
        self.port: int = self._server.server_port
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
