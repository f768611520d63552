"""Commands from another terminal to a running `up`: a small HTTP server of its own, its commands, and their clients.

The server is not part of the embedded AWS, whose only thread must never wait for a trigger that waits for an answer of
it. Its commands are for practice: faults in the embedded AWS, throttled functions, disabled mappings; and for status.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from tablestream.local.cli.banner import About, Delivery, describe
from tablestream.local.cli.session import running
from tablestream.local.cli.terminal import console, counted, put
from tablestream.local.cloud.faults import Fault, Faults, Injected
from tablestream.local.errors import UsageError
from tablestream.local.gateway.gateway import Address
from tablestream.local.http import Serving, from_another_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tablestream.local.application import Running


Json = Any
PATIENCE_SECONDS = 10
LONGEST_TOLD = 100  # characters of what came
JSON_TYPE = "application/json"  # a web page cannot send this type to another origin without asking first


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a command: `wanted` says in words what `allows` lets through.

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


def control_server(commands: Mapping[str, Command]) -> Serving:
    """Return a server of `commands`, on a free port and for this machine only; it serves while its with block runs."""

    @Request.application
    def app(request: Request) -> Response:
        return respond(commands, request.path.removeprefix("/"), request)

    return Serving(app, "control", refusal=from_another_origin)


def respond(commands: Mapping[str, Command], name: str, request: Request) -> Response:
    """Carry out the command of this name, with the request's body as its arguments, and answer in JSON."""
    command = commands.get(name)
    if command is None:
        return _answer(404, {"error": f"no command {_short(name)}: wanted one of {_names(commands)}"})
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


KINDS: Mapping[str, Fault] = {
    "throttle": Fault("", "ThrottlingException"),
    "conflict": Fault("TransactWriteItems", "TransactionConflict"),
    "outage": Fault("", "ServiceUnavailable"),
}
SERVICES = ("dynamodb", "s3", "sns", "sqs")
FUNCTION = "function-throttle"


def _one_of(*names: str, required: bool = False) -> Argument:
    return Argument(f"one of {', '.join(names)}", lambda value: value in names, required)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


TEXT = Argument("text", lambda value: isinstance(value, str) and value != "")
SECONDS = Argument("a number of seconds above 0", _is_number)
KEYS = Argument("a key as DynamoDB's JSON", lambda value: isinstance(value, dict), required=True)
CALLS = Argument("a whole number above 0", lambda value: _is_number(value) and isinstance(value, int))
FAULT: Mapping[str, Argument] = {
    "kind": _one_of(*KINDS, FUNCTION, required=True),
    "calls": CALLS,
    "seconds": SECONDS,
    "service": _one_of(*SERVICES),
    "operation": TEXT,
    "mentioning": TEXT,
    "function": TEXT,
}
MAPPING: Mapping[str, Argument] = {
    "name": TEXT,
    "enabled": Argument("true or false", lambda value: isinstance(value, bool), required=True),
}


def exercises(faults: Faults, running: Running, say: Callable[[str], None]) -> dict[str, Command]:
    """The commands by name; `say` tells the terminal of `up` what another one asked for."""

    def fault(asked: Mapping[str, Json]) -> Json:
        if asked["kind"] == FUNCTION:
            told = _throttle(running, asked)
        else:
            made = _fault_of(asked)
            faults.inject(made, asked["calls"] or -1, asked["seconds"] or float("inf"))
            told = f"{asked['kind']}: {_limits(asked)} {made.service} {made.operation or 'calls'} of functions"
        say(f"fault: {told}")
        return told

    def listed(_asked: Mapping[str, Json]) -> Json:
        throttled = {name: runtime.throttled for name, runtime in running.runtimes.items()}
        return [
            *[_describe(one) for one in faults.active()],
            *[_throttling(name, calls) for name, calls in throttled.items() if calls],
        ]

    def clear(_asked: Mapping[str, Json]) -> Json:
        faults.clear()
        for runtime in running.runtimes.values():
            runtime.throttle(0)
        say("fault: all are over")
        return "all are over"

    def mapping(asked: Mapping[str, Json]) -> Json:
        name = _only(asked["name"], running.triggers, "event source mapping")
        running.triggers[name].enable(wanted=asked["enabled"])
        told = f"{name} is {'enabled' if asked['enabled'] else 'disabled'}"
        say(told)
        return told

    return {
        "fault": Command(fault, FAULT),
        "faults": Command(listed),
        "clear": Command(clear),
        "mapping": Command(mapping, MAPPING),
    }


def _fault_of(asked: Mapping[str, Json]) -> Fault:
    kind = KINDS[asked["kind"]]
    service = asked["service"] or kind.service
    if service != kind.service and asked["kind"] != "outage":
        raise UsageError(f"{asked['kind']} is a fault of {kind.service}; another service can only have an outage")
    return Fault(
        operation=asked["operation"] or kind.operation,
        error=kind.error,
        mentioning=asked["mentioning"] or "",
        service=service,
        functions_only=True,
    )


def _throttle(running: Running, asked: Mapping[str, Json]) -> str:
    of_streams = {mapping.function for mapping in running.cloud.mappings}
    named = asked["function"] or (of_streams.pop() if len(of_streams) == 1 else None)
    name = _only(named, running.runtimes, "function")
    calls = asked["calls"]
    if not calls:
        raise UsageError(f"{FUNCTION} wants --calls: how many invocations are throttled")
    running.runtimes[name].throttle(calls)
    return _throttling(name, calls)


def _throttling(name: str, calls: int) -> str:
    return f"{FUNCTION}: the next {counted(calls, 'invocation')} of {name}"


def _only(name: str | None, known: Mapping[str, object], what: str) -> str:
    if name is None and len(known) == 1:
        return next(iter(known))
    if name is None or name not in known:
        raise UsageError(f"wanted the name of one {what} of {', '.join(sorted(known))}, got {name}")
    return name


def _limits(asked: Mapping[str, Json]) -> str:
    calls = f"the next {asked['calls']}" if asked["calls"] else "all"
    return f"for {asked['seconds']:g} s {calls}" if asked["seconds"] else calls


def _describe(one: Injected) -> str:
    left = "" if one.left < 0 else f", {one.left} to come"
    what = f"{one.fault.service} {one.fault.operation or 'calls'}"
    return f"{one.fault.error} for {what}: {one.answered} answered{left}"


def ask_for_fault(kind: str, asked: Mapping[str, Any]) -> int:
    """Switch a fault on; `list` and `clear` are kinds too. Raises NotRunningError and UsageError."""
    state = running()
    if kind == "list":
        print("\n".join(ask(state.control, "faults", {})) or "no faults")
        return 0
    if kind == "clear":
        print(ask(state.control, "clear", {}))
        return 0
    if state.dynamodb_endpoint and kind != FUNCTION and (asked["service"] or "dynamodb") == "dynamodb":
        raise UsageError(f"the tables are on {state.dynamodb_endpoint}, where no faults can be injected")
    print(ask(state.control, "fault", {"kind": kind, **asked}))
    return 0


def ask_for_mapping(name: str | None, *, enabled: bool) -> int:
    """Enable or disable an event source mapping. Raises NotRunningError and UsageError."""
    print(ask(running().control, "mapping", {"name": name, "enabled": enabled}))
    return 0


def print_status(*, as_json: bool) -> int:
    """Print what runs and where each shard stands. Raises NotRunningError and UsageError."""
    told = ask(running().control, "status", {})
    if as_json:
        print(json.dumps(told, indent=2))
        return 0
    shards = told.pop("status")
    deliveries = [Delivery(**one) for one in told.pop("deliveries")]
    apis = [Address(**one) for one in told.pop("apis")]
    output = console()
    describe(output, About(**told, deliveries=deliveries, apis=apis))
    output.print("Now:")
    for line in shards:
        put(output, line, indent=2)
    return 0
