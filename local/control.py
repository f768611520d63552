"""Commands from another terminal to a running `up`: a small HTTP server of its own, and its client.

Not part of the embedded AWS, whose only thread must never wait for a trigger that waits for an answer of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from werkzeug.wrappers import Request, Response

from local.errors import UsageError
from local.serving import Serving

if TYPE_CHECKING:
    from types import TracebackType

Json = Any
Command = Callable[[Mapping[str, Json]], Json]
"""Takes named arguments, returns a JSON value. Raises UsageError for arguments that it cannot take."""
PATIENCE_SECONDS = 10


class Control:
    """Serves `commands` on this machine only, on a free port, while the with block runs."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._serving = Serving(Request.application(self._respond), "control")

    @property
    def endpoint(self) -> str:
        """Where the commands are taken."""
        return self._serving.endpoint

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and free the port."""
        self._serving.close()

    def _respond(self, request: Request) -> Response:
        command = self._commands.get(request.path.removeprefix("/"))
        # A web page cannot send this type to another origin without asking first.
        if command is None or request.method != "POST" or request.mimetype != "application/json":
            return Response(status=404)
        try:
            answer, status = command(request.get_json()), 200
        except UsageError as error:
            answer, status = {"error": str(error)}, 400
        return Response(json.dumps(answer), status, content_type="application/json")


def ask(endpoint: str, command: str, arguments: Mapping[str, Json]) -> Json:
    """Send one command. Raises UsageError with what the running `up` says is wrong."""
    body, headers = json.dumps(arguments).encode(), {"Content-Type": "application/json"}
    request = HttpRequest(f"{endpoint}/{command}", body, headers)  # noqa: S310 - an http address from our state file
    try:
        with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - likewise
            return json.load(answer)
    except HTTPError as error:
        raise UsageError(json.load(error)["error"] if error.code == 400 else f"no command {command}") from error  # noqa: PLR2004 - Bad Request
