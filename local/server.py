"""The embedded AWS: moto behind one single-threaded WSGI server.

moto is not thread safe (parallel writes of one item gave duplicate sequence numbers and lost updates), so requests
queue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from itertools import islice

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodbstreams.models import dynamodbstreams_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from local.clients import REGION
from local.faults import App, Environ, Faults, StartResponse

MOST_ITERATORS = 1000


class _Tidy:
    """WSGI middleware that drops shard iterators nobody will use: moto keeps all, and the trigger takes 8 a second."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        iterators = dynamodbstreams_backends[DEFAULT_ACCOUNT_ID][REGION].shard_iterators
        if len(iterators) > MOST_ITERATORS:
            for oldest in list(islice(iterators, MOST_ITERATORS // 2)):
                del iterators[oldest]
        return self._app(environ, start_response)


class _Handler(MotoRequestHandler):
    # werkzeug takes the handler as a class. Without a time limit one silent client would stop the only thread.
    timeout = 10


class Server:
    """moto on `host`:`port` (0: a free port), empty at the start; its state is the process's, so one at a time."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        moto_api_backend.reset()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.faults = Faults(_Tidy(DomainDispatcherApplication(create_backend_app)))
        self._server: BaseWSGIServer = make_server(host, port, self.faults, threaded=False, request_handler=_Handler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._serve, name="embedded-aws", daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """The URL for programs on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
