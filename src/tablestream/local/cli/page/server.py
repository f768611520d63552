"""The page's own small HTTP server: its files, what happens as server-sent events, what is stored, and commands.

Everybody on this machine may look. To change something takes the token that is printed at the start: it is behind the #
of the page's address, which a browser sends to nobody. A page of another origin is refused whatever it asks for.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tablestream.local.cli.control import TEXT, Argument, Command, respond
from tablestream.local.cli.items import plain_text, put
from tablestream.local.cli.page.contents import Contents, NotThereError
from tablestream.local.cli.session import environment_of
from tablestream.local.errors import UsageError
from tablestream.local.http import Serving, from_another_origin

if TYPE_CHECKING:
    from tablestream.local.cli.page.timeline import Timeline
    from tablestream.local.cloud.clients import Client

Json = Any

PORT = 4568
TOKEN_HEADER = "X-Tablestream-Token"
PACE_SECONDS = 0.1  # between two messages of a stream: what comes meanwhile is sent together
PATIENCE_SECONDS = 1.0  # at least so often the state of the shards is sent
MOST_STREAMS = 20  # pages that are open: each takes a thread
REDRIVE_SECONDS = 120
_FILES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ROUTES = Map(
    [
        Rule("/", endpoint="index.html"),
        Rule("/page.css", endpoint="page.css"),
        Rule("/page.js", endpoint="page.js"),
        Rule("/about", endpoint="about"),
        Rule("/events", endpoint="events"),
        Rule("/invocations/<int:number>", endpoint="invocation"),
        Rule("/tables", endpoint="tables"),
        Rule("/tables/<name>", endpoint="items"),
        Rule("/letters", endpoint="letters"),
        Rule("/letters/<bucket>/<path:key>", endpoint="letter"),
        Rule("/commands/<name>", endpoint="command"),
    ]
)


@dataclass(frozen=True, slots=True)
class Field:
    """An input of a form: `kind` is text, long, number, tick or choice; `value` is there at first.

    `choices` are what can be chosen.
    """

    name: str
    label: str
    kind: str = "text"
    value: Json = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """A form that an application adds to the page: its `command` gets the fields by name, and returns text to show."""

    name: str
    title: str
    button: str
    fields: Sequence[Field]
    command: Command

    def told(self) -> dict[str, Json]:
        """A JSON object."""
        fields = [{name: getattr(field, name) for name in field.__slots__} for field in self.fields]
        return {"name": self.name, "title": self.title, "button": self.button, "fields": fields}


@dataclass(frozen=True, slots=True)
class Stage:
    """The stack that a page shows: its name, its address, its functions, and the forms of its application.

    `state` tells of shards, faults and mappings as they are now.
    """

    stack: str
    endpoint: str
    functions: Sequence[str]
    forms: Sequence[Form]
    state: Callable[[], Mapping[str, Json]]

    def told(self) -> dict[str, Json]:
        """A JSON object."""
        forms = [form.told() for form in self.forms]
        return {"stack": self.stack, "endpoint": self.endpoint, "functions": list(self.functions), "forms": forms}


class PageServer:
    """A WSGI application. `commands` are what the page may do, by name; the forms' own are added to them."""

    def __init__(self, stage: Stage, timeline: Timeline, contents: Contents, commands: Mapping[str, Command]) -> None:
        self.token = secrets.token_urlsafe(16)
        self._run = secrets.token_hex(4)
        self._stage = stage
        self._timeline = timeline
        self._contents = contents
        self._commands = {**commands, **{form.name: form.command for form in stage.forms}}
        self._streams = threading.Semaphore(MOST_STREAMS)
        self.app = Request.application(self._respond)

    def serving(self, port: int | None) -> tuple[Serving, str]:
        """A server of this page at `port` (0: a free one), and a note if it is not where it was expected.

        Without `port` it is PORT, or a free one where that is taken. Raises UsageError for a port that was asked for
        and is taken.
        """
        try:
            return Serving(self.app, "page", port=PORT if port is None else port, refusal=from_another_origin), ""
        except OSError as error:
            if port is None:
                note = f"port {PORT} is taken, so the page has another; --page-port N chooses"
                return Serving(self.app, "page", refusal=from_another_origin), note
            raise UsageError(
                f"port {port} for the page cannot be listened on ({error.strerror}): "
                "end what is there, or take another port with --page-port N (0: a free one)"
            ) from error

    def _respond(self, request: Request) -> Response:
        try:
            name, values = _ROUTES.bind_to_environ(request.environ).match()
            response = self._file(name) if name in _FILES else self._answer(name, values, request)
        except HTTPException as error:
            response = _json({"error": f"{request.path}: {error.name}"}, error.code or 500)
        except NotThereError as error:
            response = _json({"error": str(error)}, 404)
        response.headers.update(_HEADERS)
        return response

    def _file(self, name: str) -> Response:
        content = files("tablestream.local.cli.page").joinpath(name).read_bytes()
        return Response(content, content_type=f"{_FILES[name]}; charset=utf-8")

    def _answer(self, name: str, values: Mapping[str, Json], request: Request) -> Response:
        match name:
            case "events":
                return self._events(request)
            case "command":
                return self._command(values["name"], request)
            case _:
                return _json(self._read(name, values, request))

    def _read(self, name: str, values: Mapping[str, Json], request: Request) -> Json:
        match name:
            case "about":
                return {"run": self._run, **self._stage.told()}
            case "tables":
                return self._contents.tables()
            case "items":
                return self._contents.items(values["name"], _start(request))
            case "letters":
                return self._contents.letters()
            case "letter":
                return self._contents.letter(values["bucket"], values["key"])
        if (behind := self._timeline.unfolded(values["number"])) is None:
            raise NotThereError("only the latest invocations are kept, and this is none of them any more")
        return behind

    def _command(self, name: str, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            way_out = "open the address that was printed at its start"
            told = f"wanted this stack's token in the header {TOKEN_HEADER}: {way_out}"
            return _json({"error": told}, 403)
        return respond(self._commands, name, request)

    def _events(self, request: Request) -> Response:
        if not self._streams.acquire(blocking=False):
            return _json({"error": f"{MOST_STREAMS} pages are open already: close one"}, 503)
        run, _, number = request.headers.get("Last-Event-ID", "").partition(":")
        last = int(number) if run == self._run and number.isdecimal() else 0  # that of another stack says nothing here
        response = Response(self._messages(last), content_type="text/event-stream")
        response.call_on_close(self._streams.release)
        return response

    def _messages(self, last: int) -> Iterator[str]:
        """The messages of one stream: the lines that came, and the state."""
        patience = 0.0  # the first comes at once
        while not self._timeline.closed:
            lines = self._timeline.since(last, patience)
            last = lines[-1].number if lines else last
            told = {"run": self._run, "lines": [line.told() for line in lines], "state": self._stage.state()}
            yield f"id: {self._run}:{last}\ndata: {json.dumps(told, default=_text)}\n\n"
            patience = PATIENCE_SECONDS
            time.sleep(PACE_SECONDS)


def item_form(dynamodb: Client, examples: Mapping[str, Mapping[str, Json]]) -> Form:
    """The form that writes an item to a table; `examples` are items by table, the first of which is there at first."""

    def write(asked: Mapping[str, Json]) -> Json:
        return put(dynamodb, asked["table"], asked["item"])

    tables = list(examples)
    fields = (
        Field("table", "Table", "choice", tables[0], tables),
        Field("item", "Item", "long", plain_text(examples[tables[0]])),
    )
    required = replace(TEXT, required=True)
    return Form("item", "An item", "Write it", fields, Command(write, {"table": required, "item": required}))


def redriving(stack: str, variables: Mapping[str, str], functions: Sequence[str]) -> Command:
    """The command that sends one object of a failures bucket again, as `tablestream redrive run KEY` does.

    It is run as a program of its own, with the `variables` that point it at this stack. Where `functions`, the names of
    those that streams invoke, are several, the stack's outputs say which one takes it.
    """
    only = ["--function", functions[0]] if len(functions) == 1 else []

    def redrive(asked: Mapping[str, Json]) -> Json:
        words = ["redrive", "run", asked["key"], "--stack", stack, "--bucket", asked["bucket"], *only]
        done = subprocess.run(
            [sys.executable, "-m", "tablestream.ops", *words],
            env=environment_of(variables),
            capture_output=True,
            text=True,
            timeout=REDRIVE_SECONDS,
            check=False,
        )
        told = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
        if done.returncode:
            raise UsageError(told or f"the redrive ended with status {done.returncode}")
        return told

    key = Argument("an object's key", lambda value: isinstance(value, str) and not value.startswith("-"), required=True)
    return Command(redrive, {"key": key, "bucket": TEXT})


def _start(request: Request) -> Mapping[str, Json] | None:
    """The key behind which items are asked for. Raises NotThereError for what is none."""
    given = request.args.get("start")
    if given is None:
        return None
    try:
        return {name: _value(value) for name, value in json.loads(given).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise NotThereError(f"start is {given[:100]!r}: wanted a key as DynamoDB's JSON") from error


def _value(value: Mapping[str, Json]) -> Mapping[str, Json]:
    return {"B": base64.b64decode(value["B"])} if "B" in value else value


def _json(content: Json, status: int = 200) -> Response:
    return Response(json.dumps(content, default=_text), status, content_type="application/json")


def _text(value: object) -> str:
    """Binary values as base64, as DynamoDB has them in JSON."""
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)
