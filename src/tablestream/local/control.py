"""Commands from another terminal to a running `up`: a small HTTP server of its own, and its client.

Not part of the embedded AWS, whose only thread must never wait for a trigger that waits for an answer of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from tablestream.local.errors import UsageError
from tablestream.local.serving import Serving, from_another_origin

if TYPE_CHECKING:
    from types import TracebackType

Json = Any
PATIENCE_SECONDS = 10
LONGEST_TOLD = 100  # characters of what came
JSON_TYPE = "application/json"  # a web page cannot send this type to another origin without asking first


@dataclass(frozen=True, slots=True)
class Argument:
    """What a command takes under a name: `wanted` says in words what `allows` lets through.

    One that is not `required` may be left out, or be null.
    """

    wanted: str
    allows: Callable[[Json], bool]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """`run` takes every argument of `takes` by name, None for what was left out, and returns a JSON value.

    It raises UsageError for arguments that it cannot take together.
    """

    run: Callable[[Mapping[str, Json]], Json]
    takes: Mapping[str, Argument] = field(default_factory=dict)

    def carry_out(self, given: Json) -> Json:
        """Check what was given, and run. Raises UsageError, and has done nothing then."""
        if not isinstance(given, dict):
            raise UsageError(f"got {_short(given)}: wanted an object with {_names(self.takes)}")
        if unknown := sorted(set(given) - set(self.takes)):
            raise UsageError(f"got {', '.join(map(_short, unknown))}: wanted no arguments but {_names(self.takes)}")
        for name, argument in self.takes.items():
            value = given.get(name)
            if (argument.required or value is not None) and not argument.allows(value):
                raise UsageError(f"{name} is {_short(value)}: wanted {argument.wanted}")
        return self.run({name: given.get(name) for name in self.takes})


class Control:
    """Serves `commands` on this machine only, on a free port, while the with block runs."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        app = Request.application(self._respond)
        self._serving = Serving(app, "control", refusal=from_another_origin)

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
        name = request.path.removeprefix("/")
        command = self._commands.get(name)
        if command is None:
            return _answer(404, {"error": f"no command {_short(name)}: wanted one of {_names(self._commands)}"})
        if request.method != "POST":
            return _answer(405, {"error": f"got {request.method}: wanted POST"})
        if request.mimetype != JSON_TYPE:
            return _answer(415, {"error": f"got the Content-Type {_short(request.mimetype)}: wanted {JSON_TYPE}"})
        try:
            return _answer(200, command.carry_out(request.get_json()))
        except BadRequest:
            return _answer(400, {"error": f"the body is no JSON: wanted an object with {_names(command.takes)}"})
        except UsageError as error:
            return _answer(400, {"error": str(error)})


def ask(endpoint: str, command: str, arguments: Mapping[str, Json]) -> Json:
    """Send one command. Raises UsageError with what the running `up` says is wrong."""
    body, headers = json.dumps(arguments).encode(), {"Content-Type": JSON_TYPE}
    request = HttpRequest(f"{endpoint}/{command}", body, headers)  # noqa: S310 - an http address from our state file
    try:
        with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - likewise
            return json.load(answer)
    except HTTPError as error:
        raise UsageError(json.load(error)["error"]) from error


def _answer(status: int, content: Json) -> Response:
    return Response(json.dumps(content), status, content_type=JSON_TYPE)


def _names(known: Mapping[str, object]) -> str:
    return ", ".join(sorted(known)) or "none"


def _short(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"
