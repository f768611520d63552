"""The embedded AWS: moto behind one single-threaded WSGI server.

moto is not thread safe (parallel writes of one item gave duplicate sequence numbers and lost updates), so requests
queue.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from itertools import islice

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodbstreams.models import dynamodbstreams_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from tablestream.local.clients import REGION
from tablestream.local.containers import Reception
from tablestream.local.faults import Faults
from tablestream.local.serving import App, Environ, Serving, StartResponse
from tablestream.local.trigger.moto_quirks import correct_moto

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
        correct_moto()
        moto_api_backend.reset()
        self.faults = Faults(_Tidy(DomainDispatcherApplication(create_backend_app)))
        self.reception = Reception(self.faults)
        self._servings = [self._serve(host, port)]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._servings[0].port

    @property
    def endpoint(self) -> str:
        """The URL for programs on this machine."""
        return self._servings[0].endpoint

    def listen_also(self, host: str) -> None:
        """Serve the same at another address of this machine, on the same port. Raises OSError where that is taken."""
        with socket.socket() as probe:  # werkzeug would end the process
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, self.port))
        self._servings.append(self._serve(host, self.port))

    def close(self) -> None:
        """Stop serving and free the port."""
        for serving in self._servings:
            serving.close()

    def _serve(self, host: str, port: int) -> Serving:
        serving = Serving(self.reception, "embedded-aws", host=host, port=port, threaded=False, handler=_Handler)
        serving.start()
        return serving
